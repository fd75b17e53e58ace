//! Parsing of single settings. Each refusal is one line that states the required form.

use super::ConfigError;
use crate::auth::Rate;
use crate::processes::passwords::Pwned;
use crate::processes::second_factor::Requirement;
use axum::http::Uri;
use chrono::{TimeDelta, Weekday};
use chrono_tz::Tz;
use ipnet::IpNet;
use registrar_aggregates::url_shortener::target::LinkHosts;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// An `http` or `https` URL without query; slashes at its end are dropped.
pub(super) fn base_url(name: &'static str, text: &str) -> Result<String, ConfigError> {
    let url = text.trim_end_matches('/');
    let uri = url.parse::<Uri>().ok();
    let usable = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.query().is_none()
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if usable && !url.contains('#') {
        return Ok(url.to_owned());
    }
    Err(ConfigError::new(name, format!("must look like https://registrar.example.org, not {text:?}")))
}

pub(super) fn pwned(text: &str) -> Result<Pwned, ConfigError> {
    let refused = || {
        let problem = format!("must look like https://api.pwnedpasswords.com/range, not {text:?}");
        ConfigError::new("REGISTRAR_PWNED_URL", problem)
    };
    let usable = text.parse::<Uri>().is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    if usable { Pwned::at(text).map_err(|_| refused()) } else { Err(refused()) }
}

pub(super) fn requirement(text: &str) -> Result<Requirement, ConfigError> {
    match text {
        "none" => Ok(Requirement::Nobody),
        "privileged" => Ok(Requirement::Privileged),
        "admins" => Ok(Requirement::Admins),
        "all" => Ok(Requirement::Everybody),
        _ => {
            let problem = format!("must be none, privileged, admins or all, not {text:?}");
            Err(ConfigError::new("REGISTRAR_SECOND_FACTOR_REQUIRED", problem))
        }
    }
}

/// A number of digits only.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Seconds from a whole number with a letter, one of `units`: s, m, h or d.
pub(crate) fn seconds(text: &str, units: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit.chars().next().filter(|unit| units.contains(*unit))? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        _ => 24 * 60 * 60,
    };
    whole(number)?.checked_mul(unit)
}

/// A whole number of seconds, minutes, hours or days, such as `90s`, `15m`, `12h` or `30d`, within `range`.
pub(super) fn time(name: &'static str, text: &str, range: RangeInclusive<TimeDelta>) -> Result<TimeDelta, ConfigError> {
    let parse = || {
        let seconds = i64::try_from(seconds(text, "smhd")?).ok()?;
        TimeDelta::try_seconds(seconds).filter(|time| range.contains(time))
    };
    parse().ok_or_else(|| {
        let [min, max] = [range.start(), range.end()].map(spelled);
        ConfigError::new(
            name,
            format!("must be a time such as 90s, 15m, 12h or 30d, from {min} to {max}, not {text:?}"),
        )
    })
}

/// Formats a time in the largest unit that it is a whole number of.
fn spelled(time: &TimeDelta) -> String {
    let seconds = time.num_seconds();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m")];
    let unit = units.into_iter().find(|(unit, _)| seconds % unit == 0);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

pub(super) fn count(name: &'static str, text: &str) -> Result<usize, ConfigError> {
    let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| ConfigError::new(name, format!("must be a whole number from 1 to 1000000, not {text:?}")))
}

pub(super) fn truth(name: &'static str, text: &str) -> Result<bool, ConfigError> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(ConfigError::new(name, format!("must be true or false, not {text:?}"))),
    }
}

/// Addresses and networks in CIDR notation, separated by commas.
pub(super) fn networks(list: &str) -> Result<Vec<IpNet>, ConfigError> {
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                let problem = format!("must list addresses or networks such as 10.0.0.0/8, not {part:?}");
                ConfigError::new("REGISTRAR_TRUSTED_PROXIES", problem)
            })
        })
        .collect()
}

/// Hosts of short links, separated by commas.
pub(super) fn link_hosts(list: &str) -> Result<LinkHosts, ConfigError> {
    LinkHosts::parse(list).map_err(|entry| {
        let problem = format!(
            "must list names such as links.example.org or links.example.org:8443, in their ASCII form, not {entry:?}"
        );
        ConfigError::new("REGISTRAR_LINK_HOSTS", problem)
    })
}

/// Requests, a slash, and a whole number of seconds or minutes.
pub(super) fn rate(name: &'static str, text: &str) -> Result<Rate, ConfigError> {
    let parse = || {
        let (requests, time) = text.split_once('/')?;
        let requests = usize::try_from(whole(requests)?).ok()?;
        let window = Duration::from_secs(seconds(time, "sm")?);
        let in_range = (1..=Rate::REQUESTS_MAX).contains(&requests) && !window.is_zero() && window <= Rate::WINDOW_MAX;
        in_range.then_some(Rate { requests, window })
    };
    parse().ok_or_else(|| {
        let problem = format!(
            "must be requests and a time such as 10/10s or 600/1m, {} in an hour at most, not {text:?}",
            Rate::REQUESTS_MAX
        );
        ConfigError::new(name, problem)
    })
}

pub(super) fn weekday(text: &str) -> Result<Weekday, ConfigError> {
    text.parse().map_err(|_| {
        ConfigError::new("REGISTRAR_WEEK_START", format!("must be a day of the week such as monday, not {text:?}"))
    })
}

pub(super) fn time_zone(text: &str) -> Result<Tz, ConfigError> {
    text.parse().map_err(|_| {
        ConfigError::new(
            "REGISTRAR_TIME_ZONE",
            format!("must be a time zone such as UTC or Europe/Vienna, not {text:?}"),
        )
    })
}
