use super::serve::STRANGER_RATE;
use super::*;
use crate::auth::{Rate, SessionBounds};
use chrono::Weekday;
use chrono_tz::Tz;
use registrar_aggregates::url_shortener::target::LinkHosts;
use std::collections::BTreeSet;
use std::time::Duration;

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn resolve(args: ServeArgs) -> Result<ServeSettings, ConfigError> {
    args.resolve(&Secrets::default())
}

fn refused(args: ServeArgs) -> String {
    resolve(args).err().expect("refused").to_string()
}

fn nats(urls: &str) -> NatsArgs {
    NatsArgs { nats_url: text(urls), ..NatsArgs::default() }
}

fn allowing(list: &str) -> ClearTextArgs {
    ClearTextArgs { allow_clear_text: text(list) }
}

fn address(listen: &str, public_url: &str) -> ServeArgs {
    ServeArgs { address: AddressArgs { listen: text(listen), public_url: text(public_url) }, ..ServeArgs::default() }
}

#[test]
fn every_setting_has_a_default() {
    let settings = resolve(ServeArgs::default()).expect("the defaults are right");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((settings.store.data, settings.store.archives), (PathBuf::from("data"), None));
    assert_eq!(settings.store.database_url, None);
    assert_eq!(settings.first_administrator.email.as_str(), "admin@registrar.local");
    assert!(settings.first_administrator.password.is_none());
    assert!(settings.nats.is_none() && settings.public_url.is_none() && settings.trusted_proxies.is_empty());
    assert!(!settings.publish_personal && !settings.reason_mandatory);
    assert_eq!((settings.week_start, settings.time_zone), (Weekday::Mon, Tz::UTC));
    assert_eq!(settings.api_key_rate, Rate::default());
    assert_eq!((settings.caller_rate, settings.stranger_rate), (Some(CALLER_RATE), Some(STRANGER_RATE)));
}

#[test]
fn a_rate_may_be_none() {
    let args = ServeArgs { caller_rate: text("none"), stranger_rate: text("5/1s"), ..ServeArgs::default() };
    let settings = resolve(args).expect("good");
    let five = Rate { requests: 5, window: Duration::from_secs(1) };
    assert_eq!((settings.caller_rate, settings.stranger_rate), (None, Some(five)));
}

#[test]
fn empty_settings_count_as_unset() {
    let empty = || text(" ");
    let args = ServeArgs {
        store: StoreArgs { database_url: empty(), data: Some(OsString::new()), archives: Some(OsString::new()) },
        address: AddressArgs { listen: empty(), public_url: empty() },
        first_administrator: FirstAdministratorArgs {
            admin_email: empty(),
            first_password: FirstPasswordArgs { first_password_life: empty() },
        },
        nats: NatsArgs {
            nats_url: empty(),
            nats_ca: Some(OsString::new()),
            nats_creds: Some(OsString::new()),
            nats_nkey_file: Some(OsString::new()),
            nats_cert: Some(OsString::new()),
            nats_key: Some(OsString::new()),
        },
        clear_text: ClearTextArgs { allow_clear_text: empty() },
        publish_personal: empty(),
        reason_mandatory: empty(),
        trusted_proxies: empty(),
        api_key_rate: empty(),
        week_start: empty(),
        time_zone: empty(),
        workloads: None,
        link_hosts: empty(),
        service_documents: Some(OsString::new()),
        tls_cert: Some(OsString::new()),
        tls_key: Some(OsString::new()),
        docs: empty(),
        metrics: empty(),
        connections: empty(),
        connections_per_address: empty(),
        caller_rate: empty(),
        stranger_rate: empty(),
        pwned: PwnedArgs { pwned_url: empty(), pwned_required: empty() },
        second_factor_required: empty(),
        refresh_rotate: empty(),
        confirm_changes: empty(),
        sessions: SessionArgs {
            session_life: empty(),
            session_idle: empty(),
            privileged_session_life: empty(),
            privileged_session_idle: empty(),
        },
        messages: MessageArgs {
            smtp_url: empty(),
            smtp_ca: Some(OsString::new()),
            mail_from: empty(),
            sms_url: empty(),
            sms_from: empty(),
            app_url: empty(),
            sns_topics: empty(),
            sns_cert_origins: empty(),
        },
    };
    let settings = resolve(args).expect("as without");
    assert_eq!(settings.listen.port(), 8080);
    assert_eq!((settings.store.database_url, settings.public_url), (None, None));
    assert!(settings.nats.is_none() && settings.service_documents.is_none());
    assert_eq!((settings.store.data, settings.store.archives), (PathBuf::from("data"), None));
    assert_eq!(settings.link_hosts, LinkHosts::default());
    assert!(settings.messages.channels.mail.is_none() && settings.messages.channels.texts.is_none());
    assert!(settings.messages.app_url.is_none() && settings.messages.topics.is_none());
}

fn messages(args: MessageArgs) -> ServeArgs {
    ServeArgs { messages: args, ..ServeArgs::default() }
}

#[test]
fn messages_have_servers_and_senders() {
    let args = MessageArgs {
        smtp_url: text("smtps://user:password@mail.example.org"),
        mail_from: text("Registrar <no-reply@example.org>"),
        sms_url: text("https://sid:token@sms.example.org/2010-04-01/Accounts/sid/Messages.json"),
        sms_from: text("+12025550199"),
        app_url: text("https://app.example.org/"),
        ..MessageArgs::default()
    };
    let settings = resolve(messages(args)).expect("good").messages;
    assert!(settings.channels.mail.is_some() && settings.channels.texts.is_some());
    assert_eq!(settings.app_url.as_deref(), Some("https://app.example.org"));
    let senders = MessageArgs { mail_from: text("a@example.org"), sms_from: text("12345"), ..MessageArgs::default() };
    let settings = resolve(messages(senders)).expect("senders alone have no effect").messages;
    assert!(settings.channels.mail.is_none() && settings.channels.texts.is_none());
}

#[test]
fn settings_of_messages_are_refused_by_name_and_without_their_passwords() {
    let mail =
        |url: &str, from: &str| MessageArgs { smtp_url: text(url), mail_from: text(from), ..MessageArgs::default() };
    let texts =
        |url: &str, from: &str| MessageArgs { sms_url: text(url), sms_from: text(from), ..MessageArgs::default() };
    let authority =
        MessageArgs { smtp_ca: Some("/no/such/file".into()), ..mail("smtps://mail.example.org", "a@example.org") };
    let alone = MessageArgs { smtp_ca: Some("Cargo.toml".into()), ..MessageArgs::default() };
    let not_pem =
        MessageArgs { smtp_ca: Some("Cargo.toml".into()), ..mail("smtps://mail.example.org", "a@example.org") };
    for (args, beginning) in [
        (mail("smtps://a:secret@mail.example.org", ""), "REGISTRAR_MAIL_FROM is needed with REGISTRAR_SMTP_URL"),
        (mail("imap://a:secret@mail.example.org", "a@example.org"), "REGISTRAR_SMTP_URL must look like smtp://"),
        (mail("smtps://a:secret@mail.example.org", "Registrar"), "REGISTRAR_MAIL_FROM must be an address"),
        (mail("smtp://a:secret@mail.example.org", "a@example.org"), "REGISTRAR_SMTP_URL means clear text beyond"),
        (authority, "REGISTRAR_SMTP_CA /no/such/file cannot be used"),
        (alone, "REGISTRAR_SMTP_URL is needed with REGISTRAR_SMTP_CA"),
        (not_pem, "REGISTRAR_SMTP_CA has no certificates"),
        (texts("https://sid:secret@sms.example.org/", ""), "REGISTRAR_SMS_FROM is needed with REGISTRAR_SMS_URL"),
        (texts("https://sms.example.org/secret", "12345"), "REGISTRAR_SMS_URL must look like https://sid:token@host"),
        (texts("https://sid:secret@sms.example.org/", "a&b"), "REGISTRAR_SMS_FROM must be a telephone number"),
        (texts("http://sid:secret@sms.example.org/", "12345"), "REGISTRAR_SMS_URL means clear text beyond"),
    ] {
        let told = refused(messages(args));
        assert!(told.starts_with(beginning) && !told.contains("secret"), "{told}");
    }
    let allowed = ServeArgs {
        clear_text: allowing("smtp"),
        messages: mail("smtp://mail.example.org", "a@example.org"),
        ..ServeArgs::default()
    };
    assert!(resolve(allowed).is_ok());
    assert!(resolve(messages(mail("smtp://127.0.0.1:2525", "a@example.org"))).is_ok());
    let app = MessageArgs { app_url: text("app.example.org"), ..MessageArgs::default() };
    assert!(refused(messages(app)).starts_with("REGISTRAR_APP_URL must look like"));
}

#[test]
fn topics_report_by_their_names_with_certificates_of_permitted_origins() {
    let sns = |topics: &str, origins: &str| {
        messages(MessageArgs { sns_topics: text(topics), sns_cert_origins: text(origins), ..MessageArgs::default() })
    };
    let topic = "arn:aws:sns:eu-west-1:123456789012:mails";
    for (topics, origins, reports) in [
        (topic, "", true),
        (&*format!("{topic}, {topic}-2,"), "https://sns.example.org,http://127.0.0.1:4000", true),
        ("", "https://sns.example.org", false),
        ("", "", false),
    ] {
        assert_eq!(
            resolve(sns(topics, origins)).expect("good").messages.topics.is_some(),
            reports,
            "{topics} {origins}"
        );
    }
    for (topics, origins, beginning) in [
        ("mails", "", "REGISTRAR_SNS_TOPICS must list topics such as arn:aws:sns:"),
        (topic, "sns.example.org", "REGISTRAR_SNS_CERT_ORIGINS must list origins such as https://"),
        (topic, "http://sns.example.org", "REGISTRAR_SNS_CERT_ORIGINS must list origins such as https://"),
        ("", "https://sns.example.org/path", "REGISTRAR_SNS_CERT_ORIGINS must list origins such as https://"),
    ] {
        assert!(refused(sns(topics, origins)).starts_with(beginning), "{topics} {origins}");
    }
}

#[test]
fn short_links_lead_to_hosts_of_the_setting() {
    let hosts =
        resolve(ServeArgs { link_hosts: text(" Links.example.org,app.example.org:8443 "), ..ServeArgs::default() });
    let hosts = hosts.expect("good").link_hosts;
    assert!(hosts.contains("links.example.org") && hosts.contains("app.example.org:8443"));
    assert!(!hosts.contains("app.example.org") && !hosts.contains("example.org"));
    assert_eq!(resolve(ServeArgs::default()).expect("good").link_hosts, LinkHosts::default());
}

#[test]
fn given_settings_override_the_defaults() {
    let args = ServeArgs {
        store: StoreArgs { archives: Some("/mnt/archives".into()), ..StoreArgs::default() },
        publish_personal: text("TRUE"),
        reason_mandatory: text("yes"),
        trusted_proxies: text("127.0.0.1, 10.0.0.0/8,::1,"),
        week_start: text("Sunday"),
        time_zone: text("Europe/Vienna"),
        nats: nats("nats://user:pass@127.0.0.1:4222"),
        clear_text: allowing("listen"),
        ..address("[::]:0", "https://registrar.example.org/base/")
    };
    let settings = resolve(args).expect("all right");
    assert_eq!(settings.listen.to_string(), "[::]:0");
    assert_eq!(settings.public_url.as_deref(), Some("https://registrar.example.org/base"));
    let networks: Vec<_> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]);
    assert_eq!(settings.store.archives, Some(PathBuf::from("/mnt/archives")));
    assert!(settings.reason_mandatory);
    assert!(settings.publish_personal && settings.nats.is_some_and(|nats| nats.publish_personal()));
    assert_eq!((settings.week_start, settings.time_zone), (Weekday::Sun, Tz::Europe__Vienna));
}

#[test]
fn clear_text_beyond_this_machine_is_allowed_by_name() {
    let everywhere = |list: &str| ServeArgs {
        nats: nats("nats://nats:4222"),
        pwned: PwnedArgs { pwned_url: text("http://pwned.example.org"), pwned_required: None },
        clear_text: allowing(list),
        ..address("0.0.0.0:8080", "")
    };
    assert!(resolve(everywhere("listen,nats,pwned")).is_ok());
    for (list, name) in [
        ("nats,pwned", "REGISTRAR_LISTEN"),
        ("listen,pwned", "REGISTRAR_NATS_URL"),
        ("listen,nats", "REGISTRAR_PWNED_URL"),
    ] {
        assert!(refused(everywhere(list)).starts_with(name), "{list}");
    }
}

#[test]
fn docs_and_metrics_are_served_on_loopback_or_by_setting() {
    let shown = |listen, docs, metrics| {
        let args = ServeArgs { docs, metrics, clear_text: allowing("listen"), ..address(listen, "") };
        let settings = resolve(args).expect("good");
        (settings.docs, settings.metrics)
    };
    for here in ["", "127.0.0.1:1", "[::1]:1"] {
        assert_eq!(shown(here, None, None), (true, true), "{here}");
        assert_eq!(shown(here, text("false"), text("true")), (false, true), "{here}");
    }
    for beyond in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        assert_eq!(shown(beyond, None, None), (false, false), "{beyond}");
        assert_eq!(shown(beyond, text("true"), None), (true, false), "{beyond}");
    }
}

fn sessions(life: &str, idle: &str, privileged_life: &str, privileged_idle: &str) -> ServeArgs {
    let sessions = SessionArgs {
        session_life: text(life),
        session_idle: text(idle),
        privileged_session_life: text(privileged_life),
        privileged_session_idle: text(privileged_idle),
    };
    ServeArgs { sessions, ..ServeArgs::default() }
}

#[test]
fn sessions_of_privileged_accounts_have_no_wider_bounds_than_others() {
    let bounds = |args| {
        let SessionBounds { all, privileged } = resolve(args).expect("good").sessions;
        [all.life, all.idle, privileged.life, privileged.idle].map(|time| time.num_hours())
    };
    assert_eq!(bounds(ServeArgs::default()), [90 * 24, 14 * 24, 90 * 24, 14 * 24]);
    assert_eq!(bounds(sessions("90d", "336h", "24h", "2h")), [90 * 24, 14 * 24, 24, 2]);
    assert_eq!(bounds(sessions("12h", "60m", "", "")), [12, 1, 12, 1], "never wider than those of all");
    for unfit in ["12", "h", "-1h", "+1h", "1w", "", "99999999999999999999d", "9223372036854775807d"] {
        assert_eq!(resolve(sessions(unfit, "", "", "")).is_err(), !unfit.is_empty(), "{unfit}");
    }
}

fn rate(rate: &str) -> ServeArgs {
    ServeArgs { api_key_rate: text(rate), ..ServeArgs::default() }
}

#[test]
fn a_rate_is_requests_and_a_time() {
    let read = |text: &str| resolve(rate(text)).map(|settings| settings.api_key_rate).ok();
    let of = |requests, seconds| Some(Rate { requests, window: std::time::Duration::from_secs(seconds) });
    assert_eq!(read("10/10s"), of(10, 10));
    assert_eq!(read("1/60m"), of(1, 3600));
    assert_eq!(read("10000/1s"), of(10_000, 1));
    for unfit in [
        "10",
        "/",
        "10/",
        "10/s",
        "0/1s",
        "10001/1s",
        "1/0s",
        "1/3601s",
        "-1/1s",
        "+1/1s",
        "1/1",
        "1/1s/1s",
        "1/99999999999999999999m",
    ] {
        assert_eq!(read(unfit), None, "{unfit}");
    }
}

#[test]
fn each_refusal_is_one_line_that_names_the_setting() {
    let to_nats = |nats| ServeArgs { nats, ..ServeArgs::default() };
    let file = |path: &str| Some(OsString::from(path));
    let email = FirstAdministratorArgs { admin_email: text("nobody"), ..FirstAdministratorArgs::default() };
    let life = |life| FirstAdministratorArgs {
        first_password: FirstPasswordArgs { first_password_life: text(life) },
        ..FirstAdministratorArgs::default()
    };
    let pwned = |url, required| ServeArgs {
        pwned: PwnedArgs { pwned_url: text(url), pwned_required: text(required) },
        ..ServeArgs::default()
    };
    let refusals = [
        (refused(address("8080", "")), "REGISTRAR_LISTEN"),
        (refused(address("localhost", "")), "REGISTRAR_LISTEN"),
        (refused(address("127.0.0.1:65536", "")), "REGISTRAR_LISTEN"),
        (refused(address("", "registrar.example.org")), "REGISTRAR_PUBLIC_URL"),
        (refused(address("", "ftp://registrar.example.org")), "REGISTRAR_PUBLIC_URL"),
        (refused(address("", "https://")), "REGISTRAR_PUBLIC_URL"),
        (refused(address("", "https://a b")), "REGISTRAR_PUBLIC_URL"),
        (refused(address("", "https://a/?b=c")), "REGISTRAR_PUBLIC_URL"),
        (refused(to_nats(nats("http://127.0.0.1:4222"))), "REGISTRAR_NATS_URL"),
        (refused(to_nats(NatsArgs { nats_ca: file("/none"), ..nats("") })), "REGISTRAR_NATS_URL is needed"),
        (refused(to_nats(NatsArgs { nats_cert: file("/none"), ..nats("tls://a") })), "REGISTRAR_NATS_KEY is needed"),
        (refused(to_nats(NatsArgs { nats_key: file("/none"), ..nats("tls://a") })), "REGISTRAR_NATS_CERT is needed"),
        (refused(to_nats(NatsArgs { nats_ca: file("/none"), ..nats("tls://a") })), "REGISTRAR_NATS_CA /none cannot"),
        (refused(to_nats(NatsArgs { nats_creds: file("/none"), ..nats("tls://a") })), "REGISTRAR_NATS_CREDS /none"),
        (refused(to_nats(NatsArgs { nats_nkey_file: file("/none"), ..nats("tls://a") })), "REGISTRAR_NATS_NKEY_FILE /"),
        (refused(to_nats(nats("tls://a,nats://nats:4222"))), "REGISTRAR_NATS_URL means clear text beyond this machine"),
        (refused(address("0.0.0.0:8080", "")), "REGISTRAR_LISTEN means clear text beyond this machine (0.0.0.0): set"),
        (refused(ServeArgs { clear_text: allowing("all"), ..ServeArgs::default() }), "REGISTRAR_ALLOW_CLEAR_TEXT"),
        (refused(pwned("http://pwned.example.org", "")), "REGISTRAR_PWNED_URL means clear text beyond this machine"),
        (refused(ServeArgs { first_administrator: email, ..ServeArgs::default() }), "REGISTRAR_ADMIN_EMAIL"),
        (
            refused(ServeArgs { first_administrator: life("31d"), ..ServeArgs::default() }),
            "REGISTRAR_FIRST_PASSWORD_LIFE must be a time such as 90s, 15m, 12h or 30d, from 5m to 30d",
        ),
        (refused(ServeArgs { publish_personal: text("maybe"), ..ServeArgs::default() }), "REGISTRAR_PUBLISH_PERSONAL"),
        (refused(ServeArgs { reason_mandatory: text("maybe"), ..ServeArgs::default() }), "REGISTRAR_REASON_MANDATORY"),
        (
            refused(ServeArgs { trusted_proxies: text("10.0.0.0/33"), ..ServeArgs::default() }),
            "REGISTRAR_TRUSTED_PROXIES",
        ),
        (
            refused(ServeArgs { link_hosts: text("a.example, https://b.example/"), ..ServeArgs::default() }),
            "REGISTRAR_LINK_HOSTS must list names such as links.example.org or links.example.org:8443",
        ),
        (refused(rate("10/10h")), "REGISTRAR_API_KEY_RATE"),
        (refused(ServeArgs { tls_cert: Some("c".into()), ..ServeArgs::default() }), "REGISTRAR_TLS_KEY"),
        (refused(ServeArgs { tls_key: Some("k".into()), ..ServeArgs::default() }), "REGISTRAR_TLS_CERT"),
        (refused(ServeArgs { docs: text("maybe"), ..ServeArgs::default() }), "REGISTRAR_DOCS"),
        (refused(ServeArgs { caller_rate: text("many"), ..ServeArgs::default() }), "REGISTRAR_CALLER_RATE"),
        (refused(ServeArgs { stranger_rate: text("0/10s"), ..ServeArgs::default() }), "REGISTRAR_STRANGER_RATE"),
        (refused(ServeArgs { connections: text("0"), ..ServeArgs::default() }), "REGISTRAR_CONNECTIONS"),
        (
            refused(ServeArgs { connections_per_address: text("-1"), ..ServeArgs::default() }),
            "REGISTRAR_CONNECTIONS_PER_ADDRESS",
        ),
        (refused(pwned("https://pwned.example.org", "maybe")), "REGISTRAR_PWNED_REQUIRED"),
        (refused(pwned("", "true")), "REGISTRAR_PWNED_URL is needed with REGISTRAR_PWNED_REQUIRED"),
        (refused(pwned("ftp://pwned.example.org", "")), "REGISTRAR_PWNED_URL"),
        (
            refused(ServeArgs { second_factor_required: text("some"), ..ServeArgs::default() }),
            "REGISTRAR_SECOND_FACTOR_REQUIRED",
        ),
        (refused(ServeArgs { refresh_rotate: text("maybe"), ..ServeArgs::default() }), "REGISTRAR_REFRESH_ROTATE"),
        (
            refused(sessions("91d", "", "", "")),
            "REGISTRAR_SESSION_LIFE must be a time such as 90s, 15m, 12h or 30d, from 5m to 90d",
        ),
        (refused(sessions("", "15d", "", "")), "REGISTRAR_SESSION_IDLE must be"),
        (refused(sessions("", "4m", "", "")), "REGISTRAR_SESSION_IDLE must be"),
        (refused(sessions("10h", "", "11h", "")), "REGISTRAR_PRIVILEGED_SESSION_LIFE must be"),
        (refused(sessions("", "1d", "", "25h")), "REGISTRAR_PRIVILEGED_SESSION_IDLE must be"),
        (refused(ServeArgs { confirm_changes: text("maybe"), ..ServeArgs::default() }), "REGISTRAR_CONFIRM_CHANGES"),
        (refused(ServeArgs { week_start: text("someday"), ..ServeArgs::default() }), "REGISTRAR_WEEK_START"),
        (refused(ServeArgs { time_zone: text("Mars/Olympus"), ..ServeArgs::default() }), "REGISTRAR_TIME_ZONE"),
    ];
    for (refusal, name) in refusals {
        assert!(refusal.starts_with(name) && !refusal.contains('\n'), "{refusal}");
    }
}

#[test]
fn a_refusal_repeats_no_password() {
    let url = refused(ServeArgs { nats: nats("http://user:secret@host"), ..ServeArgs::default() });
    assert!(!url.contains("secret"), "{url}");
}

#[test]
fn the_master_key_comes_from_its_variable_or_from_a_file_that_is_made_once() {
    let folder = tempfile::tempdir().expect("a folder");
    master_keys(&Secrets::default(), folder.path()).expect("made");
    let made = std::fs::read(master_key_file(folder.path())).expect("a file");
    master_keys(&Secrets::default(), folder.path()).expect("read");
    assert_eq!(std::fs::read(master_key_file(folder.path())).expect("a file"), made);

    let other = tempfile::tempdir().expect("a folder");
    let key = |text: &str| Secrets { master_key: Some(Zeroizing::new(text.to_owned())), ..Secrets::default() };
    master_keys(&key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), other.path()).expect("read");
    assert!(!master_key_file(other.path()).exists());
    let refusal = master_keys(&key("c2hvcnQ="), other.path()).err().expect("too short").to_string();
    assert!(refusal.starts_with("REGISTRAR_MASTER_KEY") && !refusal.contains("c2hvcnQ="), "{refusal}");
}

#[test]
fn the_former_master_key_is_another_one_from_its_variable_or_a_private_file() {
    use std::os::unix::fs::PermissionsExt;
    const NEW: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const OLD: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let folder = tempfile::tempdir().expect("a folder");
    let text = |text: &str| Some(Zeroizing::new(text.to_owned()));
    let read = |former: Option<&str>| {
        let former_master_key = former.and_then(text);
        master_keys(&Secrets { master_key: text(NEW), former_master_key, ..Secrets::default() }, folder.path())
    };
    let refused = |former| read(former).err().expect("refused").to_string();
    read(Some(OLD)).expect("two keys");
    assert!(refused(Some("c2hvcnQ=")).starts_with("REGISTRAR_FORMER_MASTER_KEY"));
    assert!(refused(Some(NEW)).starts_with("REGISTRAR_FORMER_MASTER_KEY"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "a file was made");

    let file = folder.path().join(FORMER_MASTER_KEY_FILE);
    std::fs::write(&file, NEW).expect("written");
    for (mode, expected) in [(0o644, "chmod 600"), (0o600, "REGISTRAR_FORMER_MASTER_KEY is the same")] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
        assert!(refused(None).contains(expected), "{mode:o}: {}", refused(None));
    }
    // An invalid former key creates no new key.
    assert!(
        master_keys(&Secrets { former_master_key: text("c2hvcnQ="), ..Secrets::default() }, folder.path()).is_err()
    );
    assert!(!master_key_file(folder.path()).exists());
}

/// Names of settings in a text, where `name` finds the one that a line sets.
fn named<'t>(text: &'t str, name: impl Fn(&'t str) -> Option<&'t str>) -> BTreeSet<&'t str> {
    let ours = |name: &&str| name.starts_with("REGISTRAR_") || name.starts_with("OTEL_") || name.ends_with("_PASSWORD");
    text.lines().filter_map(name).filter(ours).collect()
}

#[test]
fn every_setting_is_explained_and_handed_on_by_compose() {
    let explained = include_str!("../../.env.example");
    let explained = named(explained, |line| line.strip_prefix('#')?.split_once('=').map(|(name, _)| name));
    let compose = include_str!("../../docker-compose.yml");
    let handed_on = named(compose, |line| line.trim().split_once(':').map(|(name, _)| name));
    // They belong to the image, or are parts of other settings.
    let fixed = BTreeSet::from(["REGISTRAR_LISTEN", "REGISTRAR_DATA", "POSTGRES_SERVER_PASSWORD"]);
    assert!(compose.contains("${POSTGRES_SERVER_PASSWORD:?"));
    assert_eq!(
        explained.difference(&fixed).copied().collect::<Vec<_>>(),
        handed_on.iter().copied().collect::<Vec<_>>()
    );
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    let mut missing: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    missing.extend([MASTER_KEY, FORMER_MASTER_KEY, ADMIN_PASSWORD]);
    missing.retain(|name| !explained.contains(name));
    assert_eq!(missing, Vec::<&str>::new(), "not in .env.example");
}
