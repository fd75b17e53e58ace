//! A tiny run of every comparison: a functional test, without regard to the figures.

use std::process::Command;

const BENCH: &str = env!("CARGO_BIN_EXE_registrar-bench");

fn works(comparison: &str) {
    let output = Command::new(BENCH).args([comparison, "--smoke"]).output().expect("it starts");
    let (found, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    assert!(found.contains("| work | clients | Registrar |") && found.contains("**"), "{found}");
}

macro_rules! comparisons {
    ($($name:ident: $comparison:literal,)*) => {
        const COMPARISONS: &[&str] = &[$($comparison),*];

        $(
            #[test]
            fn $name() {
                works($comparison);
            }
        )*
    };
}

comparisons! {
    commands_on_postgresql_are_compared: "postgres",
    commands_on_sqlite_are_compared: "sqlite",
    two_processes_are_compared_with_one: "nodes",
    commands_over_http_are_compared: "http-commands",
    reads_over_http_are_compared: "http-reads",
    appends_are_compared: "append",
    growth_is_measured: "growth",
    starting_is_measured: "start-up",
    pages_are_compared: "pages",
    rebuilding_is_measured: "rebuild",
    memory_is_measured: "memory",
    latency_to_nats_is_measured: "nats-latency",
    catching_up_with_nats_is_measured: "nats-catch-up",
    access_checks_are_compared: "access",
    memberships_are_compared: "memberships",
    signing_in_is_measured: "sign-in",
    strangers_are_measured: "anonymous",
    sign_ups_are_compared_with_registrations: "coming-in-sign-up",
    deliveries_of_invitations_are_measured: "coming-in-invitations",
    lists_of_onboarding_requests_are_measured: "coming-in-list",
    lists_of_users_are_measured: "users",
    journals_of_two_sizes_are_compared: "journal-size",
}

#[test]
fn no_comparison_is_forgotten_here() {
    let output = Command::new(BENCH).arg("--help").output().expect("it starts");
    let help = String::from_utf8(output.stdout).expect("text");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let listed = listed.filter_map(|line| line.split_whitespace().next());
    let others = ["commands", "audit", "http", "all", "help"];
    let comparisons: Vec<_> = listed.filter(|name| !others.contains(name)).collect();
    assert_eq!(comparisons, COMPARISONS);
}
