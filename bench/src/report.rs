//! The report of a run: one line per comparison, as a table for people and as JSON for programs.

use crate::rounds::{Round, Rounds};
use serde::Serialize;
use sqlx::Row;
use std::collections::BTreeMap;
use std::process::Command;

/// The target of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn met(self, value: f64) -> bool {
        match self {
            Goal::AtLeast(bound) => value >= bound,
            Goal::AtMost(bound) => value <= bound,
        }
    }
}

/// The figures of all rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) rounds: Vec<f64>,
}

impl Spread {
    pub(crate) fn of(rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        let (min, max) = (sorted.first().copied(), sorted.last().copied());
        Spread { median, min: min.unwrap_or(f64::NAN), max: max.unwrap_or(f64::NAN), rounds }
    }
}

/// One contender's half of a line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Side {
    pub(crate) name: String,
    pub(crate) figure: Spread,
    /// p50, p99 and p99.9 over all rounds, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<[f64; 3]>,
}

impl Side {
    /// A side without latencies.
    pub(crate) fn figures(name: &str, rounds: Vec<f64>) -> Self {
        Side { name: name.to_owned(), figure: Spread::of(rounds), latency_ms: None }
    }

    /// A side with one figure per round and the latencies of all rounds.
    pub(crate) fn of(rounds: &Rounds, figure: impl Fn(&Round) -> f64) -> anyhow::Result<Self> {
        let all = rounds.latencies()?;
        let latency = |quantile| all.value_at_quantile(quantile) as f64 / 1000.0;
        let latency_ms = (!all.is_empty()).then(|| [latency(0.5), latency(0.99), latency(0.999)]);
        Ok(Side { name: rounds.name.clone(), figure: Spread::of(rounds.figures(figure)), latency_ms })
    }
}

/// A comparison: Registrar against a contender, or alone against a number.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) work: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) clients: Option<usize>,
    pub(crate) unit: &'static str,
    pub(crate) ours: Side,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) against: Option<Side>,
    /// Registrar's figure divided by the contender's; of the medians, and per round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<Goal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) met: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Line {
    pub(crate) fn new(work: impl Into<String>, unit: &'static str, ours: Side, against: Option<Side>) -> Self {
        let ratio = against.as_ref().map(|against| {
            let pairs = ours.figure.rounds.iter().zip(&against.figure.rounds);
            let by_round = Spread::of(pairs.map(|(ours, theirs)| ours / theirs).collect());
            Spread { median: ours.figure.median / against.figure.median, ..by_round }
        });
        Line { work: work.into(), clients: None, unit, ours, against, ratio, goal: None, met: None, note: None }
    }

    pub(crate) fn at(mut self, clients: usize) -> Self {
        self.clients = Some(clients);
        self
    }

    pub(crate) fn goal(mut self, goal: Option<Goal>) -> Self {
        self.goal = goal;
        let value = self.ratio.as_ref().map_or(self.ours.figure.median, |ratio| ratio.median);
        self.met = goal.map(|goal| goal.met(value));
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// The whole result of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) began_at: chrono::DateTime<chrono::Utc>,
    pub(crate) machine: BTreeMap<&'static str, String>,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) lines: Vec<Line>,
    /// The contenders left out, with reasons.
    pub(crate) left_out: Vec<String>,
}

impl Report {
    /// The whole report in Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("Measured {}.\n\n", self.began_at.format("%Y-%m-%d %H:%M UTC"));
        let pairs = |map: Vec<(String, String)>| {
            map.into_iter().map(|(name, value)| format!("- {name}: {value}\n")).collect::<String>()
        };
        text += "Machine:\n\n";
        text += &pairs(self.machine.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect());
        text += "\nSettings:\n\n";
        text += &pairs(self.settings.clone().into_iter().collect());
        text += "\n";
        text += &table(&self.lines);
        if !self.left_out.is_empty() {
            text += "\nLeft out:\n\n";
            text += &self.left_out.iter().map(|what| format!("- {what}\n")).collect::<String>();
        }
        text
    }
}

/// The lines as a Markdown table, with their notes below it.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = "| work | clients | Registrar | p50 / p99 / p99.9 ms | against | its figure | p50 / p99 / p99.9 ms \
                    | ratio | goal | |\n|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut notes = Vec::new();
    for line in lines {
        let against = line.against.as_ref();
        let mark = line.note.as_ref().map_or_else(String::new, |note| {
            let place = notes.iter().position(|known| known == note).unwrap_or_else(|| {
                notes.push(note.clone());
                notes.len() - 1
            });
            format!(" ({})", place + 1)
        });
        let cells = [
            format!("{}{mark}", line.work),
            line.clients.map_or_else(String::new, |clients| clients.to_string()),
            figure(&line.ours, line.unit),
            latencies(Some(&line.ours)),
            against.map_or_else(String::new, |side| side.name.clone()),
            against.map_or_else(String::new, |side| figure(side, line.unit)),
            latencies(against),
            line.ratio
                .as_ref()
                .map_or_else(String::new, |ratio| format!("**{}x** ({})", number(ratio.median), range(ratio))),
            line.goal.map_or_else(String::new, |goal| wanted(goal, line)),
            line.met.map_or("", |met| if met { "met" } else { "**missed**" }).to_owned(),
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    for (place, note) in notes.iter().enumerate() {
        text += &format!("\n({}) {note}\n", place + 1);
    }
    text
}

fn figure(side: &Side, unit: &str) -> String {
    format!("**{}** {unit} ({})", number(side.figure.median), range(&side.figure))
}

fn range(spread: &Spread) -> String {
    format!("{} - {}", number(spread.min), number(spread.max))
}

fn latencies(side: Option<&Side>) -> String {
    let latency = side.and_then(|side| side.latency_ms);
    latency.map_or_else(String::new, |three| three.map(number).join(" / "))
}

fn wanted(goal: Goal, line: &Line) -> String {
    let unit = if line.ratio.is_some() { "x".to_owned() } else { format!(" {}", line.unit) };
    match goal {
        Goal::AtLeast(bound) => format!("at least {}{unit}", number(bound)),
        Goal::AtMost(bound) => format!("at most {}{unit}", number(bound)),
    }
}

/// A number with its significant digits, and with separated thousands.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// The machine of the run.
pub(crate) fn machine(folder: &std::path::Path) -> BTreeMap<&'static str, String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: String, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_else(|| "unknown".into())
    };
    let told = |program: &str, arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let file_system = ["-f".as_ref(), "-c".as_ref(), "%T".as_ref(), folder.as_os_str()];
    BTreeMap::from([
        ("processor", format!("{}, {cores} cores", field(read("/proc/cpuinfo"), "model name"))),
        ("memory", field(read("/proc/meminfo"), "MemTotal")),
        ("system", told("uname", &["-sr".as_ref()])),
        ("file system of the data", told("stat", &file_system)),
    ])
}

/// The PostgreSQL settings that affect the figures.
pub(crate) async fn postgres_settings(connection: &mut sqlx::PgConnection) -> anyhow::Result<BTreeMap<String, String>> {
    let text = "SELECT name, current_setting(name) FROM pg_settings WHERE name IN ('server_version', 'fsync', \
        'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'shared_buffers', 'max_wal_size', \
        'max_connections', 'jit', 'autovacuum', 'commit_delay')";
    let rows = sqlx::query(text).fetch_all(connection).await?;
    Ok(rows.iter().map(|row| (format!("PostgreSQL {}", row.get::<String, _>(0)), row.get(1))).collect())
}

#[cfg(test)]
mod tests {
    use super::{Goal, Line, Side, Spread, number, table};

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between_the_middle_ones() {
        let spread = Spread::of(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
    }

    #[test]
    fn a_ratio_is_of_medians_and_ranges_over_rounds() {
        let ours = Side::figures("a", vec![10.0, 20.0, 30.0]);
        let line = Line::new("w", "commands/s", ours, Some(Side::figures("b", vec![10.0, 5.0, 10.0])));
        let ratio = line.ratio.clone().expect("two sides");
        assert_eq!((ratio.median, ratio.min, ratio.max), (2.0, 1.0, 4.0));
        assert_eq!(line.clone().goal(Some(Goal::AtLeast(2.0))).met, Some(true));
        assert_eq!(line.goal(Some(Goal::AtMost(1.9))).met, Some(false));
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!([0.123, 99.999, 1234.5, 1_234_567.0].map(number), ["0.12", "100.00", "1,234", "1,234,567"]);
    }

    #[test]
    fn a_line_alone_is_held_against_its_goal_and_notes_are_numbered() {
        let line = Line::new("start", "s", Side::figures("Registrar", vec![0.4]), None);
        let text = table(&[line.goal(Some(Goal::AtMost(0.5))).note("cold")]);
        assert!(text.contains("start (1)") && text.contains("at most 0.50 s | met") && text.ends_with("(1) cold\n"));
    }
}
