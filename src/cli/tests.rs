use super::*;
use clap::CommandFactory;
use std::time::Duration;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn without_a_command_it_serves() {
    let cli = parse("registrar --listen 127.0.0.1:9000 --data /tmp/x").expect("parsed");
    assert!(cli.command.is_none());
    assert_eq!(cli.serve.address.listen.as_deref(), Some("127.0.0.1:9000"));
    let served = parse("registrar serve --nats-url nats://a").expect("parsed");
    assert!(matches!(served.command, Some(Command::Serve(args)) if args.nats.nats_url.as_deref() == Some("nats://a")));
}

#[test]
fn options_of_serving_do_not_get_lost_before_another_command() {
    assert!(parse("registrar --data /tmp/x token create --admin a@b.c").is_err());
}

#[test]
fn secrets_are_no_options() {
    for option in ["--master-key", "--admin-password"] {
        assert!(parse(&format!("registrar serve {option} x")).is_err(), "{option}");
    }
}

#[test]
fn publishing_personal_values_may_be_said_without_a_value() {
    for (line, said) in [("--publish-personal", "true"), ("--publish-personal=false", "false")] {
        let cli = parse(&format!("registrar {line}")).expect("parsed");
        assert_eq!(cli.serve.publish_personal.as_deref(), Some(said));
    }
}

#[test]
fn token_create_needs_an_admin_and_checks_its_options() {
    let good = "registrar token create --admin a@b.example --ttl 15m --organization o1 --permission audit.read --permission events.read";
    parse(good).expect("parsed");
    for bad in [
        "registrar token create",
        "registrar token create --admin nobody",
        "registrar token create --admin a@b.example --ttl 25h",
        "registrar token create --admin a@b.example --permission audit.write",
        "registrar token create --admin a@b.example --organization=",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn lives_are_read_in_seconds_minutes_and_hours() {
    for (text, seconds) in [("1s", 1), ("30s", 30), ("15m", 900), ("1h", 3600), ("24h", 86_400)] {
        assert_eq!(token::ttl(text), Ok(Duration::from_secs(seconds)));
    }
    for text in ["", "s", "0s", "1", "-1s", "+1s", "1d", "1.5h", "1h30m", "25h", "99999999999999999999h", "1é", "é"] {
        assert!(token::ttl(text).is_err(), "{text}");
    }
}

#[test]
fn document_publish_needs_a_name_a_version_and_a_text() {
    parse("registrar document publish --name terms --version 3 --binding --html en_US=a.html --html es_US=b.html")
        .expect("parsed");
    for bad in [
        "registrar document publish",
        "registrar document publish --version 3 --html en_US=a.html",
        "registrar document publish --name terms --html en_US=a.html",
        "registrar document publish --name terms --version 3",
        "registrar document publish --name terms --version 3.1 --html en_US=a.html",
        "registrar document publish --name terms --version 3 --html a.html",
        "registrar document publish --name terms --version 3 --html en_US=a.html --organization acme",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
