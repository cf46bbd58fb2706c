//! `junit`: JUnit XML, by `junit-report`, every string cleaned first, then completed with what that crate lacks.

mod ending;

use super::{Rendered, Told, worst};
use crate::outcome::{CaseOutcome, Failure, Outcome, Verdict};
use junit_report::{Duration, ReportBuilder, TestCase, TestCaseBuilder, TestSuite, TestSuiteBuilder};
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};
use std::collections::BTreeMap;

pub(super) fn render(told: &Told<'_>) -> Rendered {
    let mut suites: BTreeMap<String, Vec<&CaseOutcome>> = BTreeMap::new();
    for case in &told.outcome.cases {
        suites.entry(suite_of(case)).or_default().push(case);
    }
    let mut report = ReportBuilder::new();
    for (name, cases) in &suites {
        report.add_testsuite(suite(name, cases, told.outcome));
    }
    // Last, so that the suites before it are those that are counted below.
    if let Some(suite) = ending::suite(told.outcome) {
        report.add_testsuite(suite);
    }
    let mut bytes = vec![];
    report.build().write_xml(&mut bytes)?;
    Ok(completed(std::str::from_utf8(&bytes)?, told)?)
}

/// `suites/signup-flow/own-namespace.yaml` → `signup-flow/own-namespace`.
fn suite_of(case: &CaseOutcome) -> String {
    let file = case.planned.file.trim_end_matches(".yaml");
    file.split_once('/').map_or(file, |(_, rest)| rest).to_owned()
}

fn suite(name: &str, cases: &[&CaseOutcome], outcome: &Outcome) -> TestSuite {
    let mut suite = TestSuiteBuilder::new(&clean(name));
    for case in cases {
        suite.add_testcase(test_case(case, outcome));
    }
    suite.build()
}

fn test_case(case: &CaseOutcome, outcome: &Outcome) -> TestCase {
    let (name, took) = (clean(&case.planned.case), took(case.took_us));
    let worst = worst(&case.failures);
    let kind = clean(worst.map_or("inconclusive", |failure| failure.kind.as_str()));
    let message = one_line(worst.map_or("the case could not be judged", |failure| failure.message.as_str()));
    let mut built = match (case.verdict, &case.known) {
        (None, _) => {
            let message = format!("not run to its end: {}", ending::why_not_run(outcome));
            TestCaseBuilder::error(&name, took, "not-run", &one_line(&message))
        }
        (Some(Verdict::Fail), Some(known)) => TestCaseBuilder::skipped_with_cause(
            &name,
            "known",
            &clean(&format!("known: {} until {}", known.ticket, known.until)),
        ),
        (Some(Verdict::Fail), None) => TestCaseBuilder::failure(&name, took, &kind, &message),
        (Some(Verdict::Inconclusive), _) => TestCaseBuilder::error(&name, took, &kind, &message),
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
    let evidence: String =
        failure.evidence.iter().map(|it| format!("\n{}:\n{}", it.label, it.text)).collect();
    format!("{}: {}\nstep `{}`{spot}{evidence}\n", failure.kind, failure.message, failure.step)
}

/// Only characters that XML 1.0 allows, and never the end of a CDATA section. In place of others a sign stands: without it, what they
/// keep apart would be one word.
fn clean(text: &str) -> String {
    let is_allowed = |c: &char| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
            && *c != '\u{7f}'
    };
    let seen = |letter: char| if is_allowed(&letter) { letter } else { char::REPLACEMENT_CHARACTER };
    text.chars().map(seen).collect::<String>().replace("]]>", "]]\u{200b}>")
}

/// A message is one line of at most 200 characters.
fn one_line(text: &str) -> String {
    clean(&text.split_whitespace().collect::<Vec<_>>().join(" ")).chars().take(200).collect()
}

/// The second pass. Adds what the crate lacks: properties, `skipped`, totals on the root, `line`, flaky failures; and
/// takes away what it makes up: `package`, `hostname`, and a timestamp that is not the run's.
struct Completion<'a> {
    told: &'a Told<'a>,
    cases: BTreeMap<String, &'a CaseOutcome>,
    /// How many cases of each suite were skipped, for the suites that are still to come.
    skips: std::vec::IntoIter<usize>,
    /// The case that is being written, if it passed only after a retry.
    flaky: Option<&'a CaseOutcome>,
    writer: Writer<Vec<u8>>,
}

fn completed(xml: &str, told: &Told<'_>) -> Result<String, quick_xml::Error> {
    let mut completion = Completion {
        told,
        cases: told.outcome.cases.iter().map(|case| (clean(&case.planned.case), case)).collect(),
        skips: skips_by_suite(told).into_iter(),
        flaky: None,
        writer: Writer::new_with_indent(Vec::new(), b' ', 2),
    };
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event()? {
            Event::Eof => break,
            event => completion.take(event)?,
        }
    }
    Ok(String::from_utf8_lossy(&completion.writer.into_inner()).into_owned() + "\n")
}

impl<'a> Completion<'a> {
    fn take(&mut self, event: Event<'_>) -> Result<(), quick_xml::Error> {
        match &event {
            Event::Start(start) => match start.name().as_ref() {
                b"testsuites" => self.write(Event::Start(root(self.told))),
                b"testsuite" => self.suite(start),
                b"testcase" => self.case(start),
                _ => self.write(event),
            },
            Event::Empty(start) => match start.name().as_ref() {
                b"testsuites" => self.write(Event::Empty(root(self.told))),
                b"testcase" => self.short_case(start),
                _ => self.write(event),
            },
            Event::End(end) if end.name().as_ref() == b"testcase" => self.end_case(),
            _ => self.write(event),
        }
    }

    fn suite(&mut self, start: &BytesStart<'_>) -> Result<(), quick_xml::Error> {
        let skipped = self.skips.next().unwrap_or_default();
        self.write(Event::Start(suite_start(start, skipped, self.told)?))?;
        properties(&mut self.writer, self.told)
    }

    fn case(&mut self, start: &BytesStart<'_>) -> Result<(), quick_xml::Error> {
        let case = self.named(start)?;
        self.flaky = case.filter(|case| case.is_flaky());
        self.write(Event::Start(with_line(start, case)?))
    }

    /// A case without anything in it, unless it is flaky.
    fn short_case(&mut self, start: &BytesStart<'_>) -> Result<(), quick_xml::Error> {
        match self.named(start)? {
            Some(case) if case.is_flaky() => {
                self.case(start)?;
                self.end_case()
            }
            case => self.write(Event::Empty(with_line(start, case)?)),
        }
    }

    fn end_case(&mut self) -> Result<(), quick_xml::Error> {
        if let Some(case) = self.flaky.take() {
            flaky(&mut self.writer, case)?;
        }
        self.write(Event::End(BytesEnd::new("testcase")))
    }

    fn named(&self, start: &BytesStart<'_>) -> Result<Option<&'a CaseOutcome>, quick_xml::Error> {
        let Some(name) = start.try_get_attribute("name")? else { return Ok(None) };
        let name = String::from_utf8_lossy(&name.value).into_owned();
        let name = quick_xml::escape::unescape(&name).map(std::borrow::Cow::into_owned).unwrap_or_default();
        Ok(self.cases.get(&name).copied())
    }

    fn write(&mut self, event: Event<'_>) -> Result<(), quick_xml::Error> {
        self.writer.write_event(event)?;
        Ok(())
    }
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
    let own = usize::from(!ending::is_told_by_cases(told.outcome));
    let mut root = BytesStart::new("testsuites");
    root.push_attribute(("name", "muster"));
    for (name, count) in [
        ("tests", totals.planned + own),
        ("failures", totals.failed),
        ("errors", totals.inconclusive + totals.not_run + own),
        ("skipped", totals.skipped + totals.known),
    ] {
        root.push_attribute((name, count.to_string().as_str()));
    }
    let micros = told.outcome.cases.iter().map(|case| case.took_us).sum();
    root.push_attribute(("time", took(micros).as_seconds_f64().to_string().as_str()));
    root
}

fn suite_start(
    start: &BytesStart<'_>,
    skipped: usize,
    told: &Told<'_>,
) -> Result<BytesStart<'static>, quick_xml::Error> {
    let mut kept = BytesStart::new("testsuite");
    for attribute in start.attributes() {
        let attribute = attribute?;
        if !matches!(attribute.key.as_ref(), b"package" | b"hostname" | b"timestamp") {
            kept.push_attribute(attribute);
        }
    }
    kept.push_attribute(("skipped", skipped.to_string().as_str()));
    kept.push_attribute(("timestamp", clean(&told.outcome.start.started).as_str()));
    Ok(kept)
}

fn properties(writer: &mut Writer<Vec<u8>>, told: &Told<'_>) -> Result<(), quick_xml::Error> {
    let (start, ending) = (&told.outcome.start, told.outcome.ending());
    writer.write_event(Event::Start(BytesStart::new("properties")))?;
    for (name, value) in [
        ("run", start.run.as_str()),
        ("seed", &start.seed.to_string()),
        ("target", &start.target),
        ("ending", ending.word()),
        ("exit-code", &ending.code().to_string()),
    ] {
        let mut property = BytesStart::new("property");
        property.push_attribute(("name", name));
        property.push_attribute(("value", clean(value).as_str()));
        writer.write_event(Event::Empty(property))?;
    }
    writer.write_event(Event::End(BytesEnd::new("properties")))?;
    Ok(())
}

fn with_line(
    start: &BytesStart<'_>,
    case: Option<&CaseOutcome>,
) -> Result<BytesStart<'static>, quick_xml::Error> {
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
        element.push_attribute(("type", clean(&failure.kind).as_str()));
        element.push_attribute(("message", one_line(failure.message.as_str()).as_str()));
        writer.write_event(Event::Start(element))?;
        writer.write_event(Event::Start(BytesStart::new("stackTrace")))?;
        writer.write_event(Event::Text(BytesText::new(&clean(&trace(failure)))))?;
        writer.write_event(Event::End(BytesEnd::new("stackTrace")))?;
        writer.write_event(Event::End(BytesEnd::new("flakyFailure")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{fold, read_record};
    use proptest::prelude::*;

    const RUN: &str = include_str!("../../fixtures/reports/every-verdict.jsonl");

    /// The whole run, with a text from outside wherever the fixture says `REPLACED`.
    fn with_text(text: &str) -> String {
        let inside = serde_json::to_string(text).unwrap();
        let records = read_record(&RUN.replace("REPLACED", &inside[1..inside.len() - 1])).unwrap();
        let outcome = fold(&records).unwrap();
        render(&Told { outcome: &outcome, records: &records }).unwrap()
    }

    /// An element: its name, and its attributes with their values.
    type Element = (String, Vec<(String, String)>);

    /// The elements as another reader sees them, or where it stumbles.
    fn read_again(xml: &str) -> Result<Vec<Element>, String> {
        let mut reader = Reader::from_str(xml);
        reader.config_mut().check_end_names = true;
        let mut found = vec![];
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Eof => return Ok(found),
                Event::Start(start) | Event::Empty(start) => found.push(element(&start)?),
                _ => {}
            }
        }
    }

    fn element(start: &BytesStart<'_>) -> Result<Element, String> {
        let mut attributes = vec![];
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let text = std::str::from_utf8(&attribute.value).map_err(|error| error.to_string())?;
            let value = quick_xml::escape::unescape(text).map_err(|error| error.to_string())?;
            attributes.push((String::from_utf8_lossy(attribute.key.as_ref()).into(), value.into_owned()));
        }
        Ok((String::from_utf8_lossy(start.name().as_ref()).into(), attributes))
    }

    fn count(elements: &[Element], name: &str) -> usize {
        elements.iter().filter(|(found, _)| found == name).count()
    }

    #[test]
    fn a_second_reader_counts_what_the_root_says() {
        let elements = read_again(&with_text("plain")).unwrap();
        let root: BTreeMap<_, _> = elements[0].1.iter().cloned().collect();
        for (attribute, element) in
            [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
        {
            assert_eq!(root[attribute], count(&elements, element).to_string(), "{attribute}");
            assert!(count(&elements, element) > 0, "the fixture has every verdict");
        }
        let in_suites = |attribute: &str| -> usize {
            let suites = elements.iter().filter(|(name, _)| name == "testsuite");
            suites
                .flat_map(|(_, all)| all)
                .filter(|(name, _)| name == attribute)
                .filter_map(|(_, it)| it.parse::<usize>().ok())
                .sum()
        };
        assert_eq!(root["tests"], in_suites("tests").to_string());
        assert_eq!(root["skipped"], in_suites("skipped").to_string());
        assert_eq!(count(&elements, "stackTrace"), count(&elements, "flakyFailure"));
    }

    #[test]
    fn a_long_text_is_whole_in_the_body_and_short_in_the_message() {
        let long = "𝒟 ü ]]> ".repeat(100 * 1024 / 13);
        let xml = with_text(&long);
        let elements = read_again(&xml).unwrap();
        let (_, failure) = elements.iter().find(|(name, _)| name == "failure").unwrap();
        let message = &failure.iter().find(|(name, _)| name == "message").unwrap().1;
        assert!(message.chars().count() <= 200, "{}", message.len());
        assert!(xml.len() > long.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        /// Whatever a platform answers, the report is well formed and has no character that XML forbids.
        #[test]
        fn any_text_gives_a_report_that_can_be_read(text in any::<String>(), tail in "[\\x00-\\x20<>&\"'\\]]{0,12}") {
            let xml = with_text(&format!("{text}]]>{tail}"));
            prop_assert!(xml.chars().all(|letter| clean(&letter.to_string()) == letter.to_string()));
            let elements = read_again(&xml);
            prop_assert!(elements.is_ok(), "{elements:?}");
            prop_assert_eq!(count(&elements.unwrap(), "testcase"), 9);
        }
    }
}
