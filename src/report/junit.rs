//! `junit`: JUnit XML, by `junit-report`, every string cleaned first, then completed with what that crate lacks.

use super::Told;
use crate::outcome::{CaseOutcome, Failure, Verdict};
use junit_report::{Duration, ReportBuilder, TestCase, TestCaseBuilder, TestSuite, TestSuiteBuilder};
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};
use std::collections::BTreeMap;

pub(super) fn render(told: &Told<'_>) -> String {
    let mut suites: BTreeMap<String, Vec<&CaseOutcome>> = BTreeMap::new();
    for case in &told.outcome.cases {
        suites.entry(suite_of(case)).or_default().push(case);
    }
    let mut report = ReportBuilder::new();
    for (name, cases) in &suites {
        report.add_testsuite(suite(name, cases));
    }
    let mut bytes = vec![];
    if report.build().write_xml(&mut bytes).is_err() {
        return String::new();
    }
    let index = told.outcome.cases.iter().map(|case| (clean(&case.planned.case), case)).collect();
    completed(&String::from_utf8_lossy(&bytes), told, &index).unwrap_or_default()
}

/// `suites/signup-flow/own-namespace.yaml` → `signup-flow/own-namespace`.
fn suite_of(case: &CaseOutcome) -> String {
    let file = case.planned.file.trim_end_matches(".yaml");
    file.split_once('/').map_or(file, |(_, rest)| rest).to_owned()
}

fn suite(name: &str, cases: &[&CaseOutcome]) -> TestSuite {
    let mut suite = TestSuiteBuilder::new(&clean(name));
    for case in cases {
        suite.add_testcase(test_case(case));
    }
    suite.build()
}

fn test_case(case: &CaseOutcome) -> TestCase {
    let (name, took) = (clean(&case.planned.case), took(case.took_us));
    let first = case.failures.first();
    let kind = first.map_or("muster", |failure| failure.kind.as_str());
    let message = first.map(|failure| one_line(failure.message.as_str())).unwrap_or_default();
    let mut built = match (case.verdict, &case.known) {
        (None, _) => TestCaseBuilder::error(&name, took, "not-run", "the case was not run to its end"),
        (Some(Verdict::Fail), Some(known)) => {
            TestCaseBuilder::skipped_with_cause(&name, "known", &clean(&format!("known: {} until {}", known.ticket, known.until)))
        }
        (Some(Verdict::Fail), None) => TestCaseBuilder::failure(&name, took, kind, &message),
        (Some(Verdict::Inconclusive), _) => TestCaseBuilder::error(&name, took, kind, &message),
        (Some(Verdict::Skip), _) => {
            let why = case.skipped.as_ref().map(ToString::to_string).unwrap_or_default();
            TestCaseBuilder::skipped_with_cause(&name, "skipped", &one_line(&why))
        }
        (Some(Verdict::Pass), _) => TestCaseBuilder::success(&name, took),
    };
    built.set_classname(&clean(&format!("muster.{}", case.planned.family)));
    built.set_filepath(&clean(&case.planned.file));
    if case.known.is_none() && !case.failures.is_empty() {
        built.set_trace(&clean(&case.failures.iter().map(trace).collect::<String>()));
    }
    built.build()
}

fn took(micros: u64) -> Duration {
    Duration::microseconds(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn trace(failure: &Failure) -> String {
    let spot = failure.spot.as_ref().map(|spot| format!("\nat {spot}")).unwrap_or_default();
    let evidence: String = failure.evidence.iter().map(|it| format!("\n{}:\n{}", it.label, it.text)).collect();
    format!("{}: {}\nstep `{}`{spot}{evidence}\n", failure.kind, failure.message, failure.step)
}

/// Only characters that XML 1.0 allows, and never the end of a CDATA section.
fn clean(text: &str) -> String {
    let is_allowed = |c: &char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..) && *c != '\u{7f}'
    };
    text.chars().filter(is_allowed).collect::<String>().replace("]]>", "]]\u{200b}>")
}

/// A message is one line of at most 200 characters.
fn one_line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" ")).chars().take(200).collect()
}

type Index<'a> = BTreeMap<String, &'a CaseOutcome>;

/// Adds what the crate lacks: properties, `skipped`, totals on the root, `line`, flaky failures; and takes away what it
/// makes up: `package`, `hostname`.
fn completed(xml: &str, told: &Told<'_>, index: &Index<'_>) -> Result<String, quick_xml::Error> {
    let mut reader = Reader::from_str(xml);
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let mut suite = 0..0_usize;
    let skips = skips_by_suite(told);
    let mut open_flaky: Option<&CaseOutcome> = None;
    loop {
        match reader.read_event()? {
            Event::Eof => break,
            Event::Start(start) if start.name().as_ref() == b"testsuites" => {
                writer.write_event(Event::Start(root(told)))?;
            }
            Event::Empty(start) if start.name().as_ref() == b"testsuites" => {
                writer.write_event(Event::Empty(root(told)))?;
            }
            Event::Start(start) if start.name().as_ref() == b"testsuite" => {
                writer.write_event(Event::Start(suite_start(&start, skips.get(suite.end).copied().unwrap_or(0))?))?;
                suite.end += 1;
                properties(&mut writer, told)?;
            }
            Event::Start(start) if start.name().as_ref() == b"testcase" => {
                let case = named(&start, index)?;
                writer.write_event(Event::Start(with_line(&start, case)?))?;
                open_flaky = case.filter(|case| case.is_flaky());
            }
            Event::Empty(start) if start.name().as_ref() == b"testcase" => {
                let case = named(&start, index)?;
                let start = with_line(&start, case)?;
                match case.filter(|case| case.is_flaky()) {
                    Some(case) => {
                        writer.write_event(Event::Start(start))?;
                        flaky(&mut writer, case)?;
                        writer.write_event(Event::End(BytesEnd::new("testcase")))?;
                    }
                    None => writer.write_event(Event::Empty(start))?,
                }
            }
            Event::End(end) if end.name().as_ref() == b"testcase" => {
                if let Some(case) = open_flaky.take() {
                    flaky(&mut writer, case)?;
                }
                writer.write_event(Event::End(end))?;
            }
            other => writer.write_event(other)?,
        }
    }
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned() + "\n")
}

fn skips_by_suite(told: &Told<'_>) -> Vec<usize> {
    let mut skips: BTreeMap<String, usize> = BTreeMap::new();
    for case in &told.outcome.cases {
        let is_skip = case.verdict == Some(Verdict::Skip) || case.known.is_some();
        *skips.entry(suite_of(case)).or_default() += usize::from(is_skip);
    }
    skips.into_values().collect()
}

fn root(told: &Told<'_>) -> BytesStart<'static> {
    let totals = told.outcome.totals();
    let mut root = BytesStart::new("testsuites");
    root.push_attribute(("name", "muster"));
    for (name, count) in [
        ("tests", totals.planned),
        ("failures", totals.failed),
        ("errors", totals.inconclusive + totals.not_run),
        ("skipped", totals.skipped + totals.known),
    ] {
        root.push_attribute((name, count.to_string().as_str()));
    }
    root
}

fn suite_start(start: &BytesStart<'_>, skipped: usize) -> Result<BytesStart<'static>, quick_xml::Error> {
    let mut kept = BytesStart::new("testsuite");
    for attribute in start.attributes() {
        let attribute = attribute?;
        if !matches!(attribute.key.as_ref(), b"package" | b"hostname") {
            kept.push_attribute(attribute);
        }
    }
    kept.push_attribute(("skipped", skipped.to_string().as_str()));
    Ok(kept)
}

fn properties(writer: &mut Writer<Vec<u8>>, told: &Told<'_>) -> Result<(), quick_xml::Error> {
    let start = &told.outcome.start;
    writer.write_event(Event::Start(BytesStart::new("properties")))?;
    for (name, value) in [("run", &start.run), ("seed", &start.seed.to_string()), ("target", &start.target)] {
        let mut property = BytesStart::new("property");
        property.push_attribute(("name", name));
        property.push_attribute(("value", clean(value).as_str()));
        writer.write_event(Event::Empty(property))?;
    }
    writer.write_event(Event::End(BytesEnd::new("properties")))?;
    Ok(())
}

fn named<'a>(start: &BytesStart<'_>, index: &Index<'a>) -> Result<Option<&'a CaseOutcome>, quick_xml::Error> {
    let Some(name) = start.try_get_attribute("name")? else { return Ok(None) };
    let name = quick_xml::escape::unescape(std::str::from_utf8(&name.value).unwrap_or_default())
        .map(std::borrow::Cow::into_owned)
        .unwrap_or_default();
    Ok(index.get(&name).copied())
}

fn with_line(start: &BytesStart<'_>, case: Option<&CaseOutcome>) -> Result<BytesStart<'static>, quick_xml::Error> {
    let mut kept = BytesStart::new("testcase");
    for attribute in start.attributes() {
        kept.push_attribute(attribute?);
    }
    if let Some(case) = case {
        kept.push_attribute(("line", case.planned.line.to_string().as_str()));
    }
    Ok(kept)
}

/// Surefire's form, the one that readers know: a `flakyFailure` with its `stackTrace` in a case that passed.
fn flaky(writer: &mut Writer<Vec<u8>>, case: &CaseOutcome) -> Result<(), quick_xml::Error> {
    for failure in &case.retried {
        let mut element = BytesStart::new("flakyFailure");
        element.push_attribute(("type", failure.kind.as_str()));
        element.push_attribute(("message", one_line(failure.message.as_str()).as_str()));
        writer.write_event(Event::Start(element))?;
        writer.write_event(Event::Start(BytesStart::new("stackTrace")))?;
        writer.write_event(Event::Text(BytesText::new(&clean(&trace(failure)))))?;
        writer.write_event(Event::End(BytesEnd::new("stackTrace")))?;
        writer.write_event(Event::End(BytesEnd::new("flakyFailure")))?;
    }
    Ok(())
}
