//! What the files of a folder of suites say.

use super::lint;
use super::trees::{Parsed, parsed};
use crate::outcome::KnownFailure;
use crate::source::{At, Invalid, Key, Node, Place, Problem, Problems, Source, Span, What, Whole, read};
use crate::step::{Book, Data, Flow, FlowSyntax, FormSyntax, Operation, Refusals, Step, Uses};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest a case may take if it says nothing.
const LIMIT: Duration = Duration::from_secs(300);

/// A folder of suites, read and looked over.
#[derive(Debug, Clone, Default)]
pub struct Suites {
    /// Operations, flows, refusals.
    pub book: Book,
    /// Every case, in the order of files and lines.
    pub cases: Vec<Case>,
    /// Needs, each with its sentence.
    pub needs: BTreeMap<String, String>,
    /// Known failures, with the target they hold for.
    pub known_failures: Vec<(String, KnownFailure)>,
}

/// One promise with an id.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique in the repository.
    pub id: At<String>,
    /// The promise, as a sentence.
    pub why: At<String>,
    /// The folder of its suite.
    pub family: String,
    /// The title of its suite.
    pub suite: String,
    /// Its file.
    pub source: Source,
    /// Tags.
    pub tags: Vec<At<String>>,
    /// What it asks of a target.
    pub needs: Vec<At<String>>,
    /// Who calls, in the order of the file.
    pub identities: Vec<(At<String>, IdentityUse)>,
    /// One case per member.
    pub for_each: Option<(At<String>, Members)>,
    /// Whether nothing else may run beside it.
    pub is_alone: bool,
    /// The flow that is run once before it and all other cases that name it, which run beside each other alone.
    pub given: Option<At<String>>,
    /// The longest it may take. Not scaled.
    pub limit: Duration,
    /// What it does.
    pub steps: Vec<Step>,
    /// Whether the file names any step, readable or not.
    pub has_steps: bool,
    /// What it uses and changes.
    pub uses: Uses,
}

/// `kind` or `kind(of)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityUse {
    /// The identity kind of the target file.
    pub kind: At<String>,
    /// The identity it is made for.
    pub of: Option<String>,
}

/// What a `for_each` goes over.
#[derive(Debug, Clone)]
pub enum Members {
    /// A pod group of the target file.
    Group(At<String>),
    /// A list.
    List(Vec<Value>),
}

#[derive(Deserialize, schemars::JsonSchema)]
pub(super) struct SuiteSyntax {
    /// What the suite is about.
    title: At<String>,
    /// Its cases.
    cases: Vec<CaseSyntax>,
}

/// A case, as its file says it.
#[derive(Deserialize, schemars::JsonSchema)]
pub(super) struct CaseSyntax {
    /// Unique in the repository: lower-case words joined by `-`.
    id: At<String>,
    /// The promise, as a sentence.
    why: At<String>,
    /// Tags.
    #[serde(default)]
    tags: Vec<At<String>>,
    /// What it asks of a target; each is explained in needs.yaml.
    #[serde(default)]
    needs: Vec<At<String>>,
    /// Who calls: name to kind, or to `kind-of(name)`.
    identities: Option<Whole>,
    /// `{ name: group }` or `{ name: [list] }`: one case per member.
    for_each: Option<Whole>,
    /// Whether nothing else may run beside it.
    #[serde(default)]
    alone: bool,
    /// A flow without inputs that is run once before all cases that name it. They run beside each other and beside
    /// nothing else; what the flow changed is put back after the last of them.
    given: Option<At<String>>,
    /// The longest it may take; 5 minutes if absent. Not scaled by the pace.
    limit: Option<Span>,
    /// What it does.
    steps: Vec<Whole>,
}

#[derive(Deserialize, schemars::JsonSchema)]
pub(super) struct KnownSyntax {
    /// The case's full name.
    case: At<String>,
    /// The target it holds for.
    target: At<String>,
    /// The step's label.
    step: At<String>,
    /// The failure's kind.
    failure: At<String>,
    /// Why it is accepted.
    because: At<String>,
    /// Where it is followed up.
    ticket: At<String>,
    /// The last day on which it is accepted, `YYYY-MM-DD`.
    until: At<String>,
}

/// Reads everything and looks it over.
///
/// # Errors
/// Every problem of every file, each with its place.
pub fn load(sources: &[Source]) -> Result<Suites, Invalid> {
    let (mut invalid, files) = (Invalid::none(), parsed(sources));
    let mut suites = Suites { book: book(&files, &mut invalid), ..Suites::default() };
    no_second(&files, &mut invalid);
    for file in &files {
        match kind_of(file.source) {
            FileKind::Suite => suites.cases.extend(cases(file, &mut invalid)),
            FileKind::Needs => suites.needs = needs(file, &mut invalid),
            FileKind::KnownFailures => suites.known_failures = known_failures(file, &mut invalid),
            FileKind::Operations | FileKind::Flow => {}
        }
    }
    lint::look_over(&mut suites, sources, &mut invalid);
    invalid.or(suites)
}

/// Reads operations and flows alone: what an undo needs. Nothing is looked over: the rules of today are not those under which a
/// change was made, and what cannot be read is missed only where it is needed.
pub fn load_book(sources: &[Source]) -> Book {
    book(&parsed(sources), &mut Invalid::none())
}

/// Of what is one file there is no second: it would replace the first.
fn no_second(files: &[Parsed<'_>], invalid: &mut Invalid) {
    let mut seen: Vec<&str> = vec![];
    let is_one = |kind: &FileKind| !matches!(kind, FileKind::Flow | FileKind::Suite);
    for file in files.iter().filter(|file| is_one(&kind_of(file.source))) {
        let name = file.source.name.rsplit('/').next().unwrap_or_default();
        if let Some(first) = seen.iter().find(|first| first.rsplit('/').next() == Some(name)) {
            let text = format!("there is `{first}` too, and one `{name}` alone is read");
            invalid.add(file.source, [Problem::new(Place::default(), text)]);
        }
        seen.push(&file.source.name);
    }
}

enum FileKind {
    Operations,
    Flow,
    Needs,
    KnownFailures,
    Suite,
}

/// Whether a file says what can be asked of a platform, and how it is put back: operations or a flow.
pub fn is_book(source: &Source) -> bool {
    matches!(kind_of(source), FileKind::Operations | FileKind::Flow)
}

fn kind_of(source: &Source) -> FileKind {
    let mut parts = source.name.rsplit('/');
    let file = parts.next().unwrap_or_default();
    match (file, parts.next()) {
        ("operations.yaml", _) => FileKind::Operations,
        ("needs.yaml", _) => FileKind::Needs,
        ("known-failures.yaml", _) => FileKind::KnownFailures,
        (_, Some("flows")) => FileKind::Flow,
        _ => FileKind::Suite,
    }
}

/// Reads a whole file as one value.
fn whole<T: serde::de::DeserializeOwned>(file: &Parsed<'_>, invalid: &mut Invalid) -> Option<T> {
    let node = rooted(file, invalid)?;
    let problems = Problems::default();
    let value = read(node, &problems);
    invalid.add(file.source, problems.into_inner());
    value
}

fn rooted<'a>(file: &'a Parsed<'_>, invalid: &mut Invalid) -> Option<&'a Node> {
    file.tree.as_ref().map_err(|problem| invalid.add(file.source, [problem.clone()])).ok()
}

fn book(files: &[Parsed<'_>], invalid: &mut Invalid) -> Book {
    let mut book = Book::default();
    for file in files {
        match kind_of(file.source) {
            FileKind::Operations => operations(file, &mut book, invalid),
            FileKind::Flow => match flow(file, invalid) {
                Some(flow) => {
                    let name = flow.syntax.flow.clone();
                    if book.flows.insert(name.value.clone(), flow).is_some() {
                        let text = format!("another file holds a flow `{}` too", name.value);
                        invalid.add(file.source, [Problem::new(name.at, text)]);
                    }
                }
                None => drop(book.unread.flows.insert(stem(file.source).to_owned())),
            },
            _ => {}
        }
    }
    book
}

fn operations(file: &Parsed<'_>, book: &mut Book, invalid: &mut Invalid) {
    let source = file.source;
    let Some(node) = rooted(file, invalid) else {
        book.unread.all_operations = true;
        return;
    };
    let What::Map(map) = &node.what else {
        book.unread.all_operations = true;
        invalid.add(source, [Problem::new(node.at, "wanted a map of operations")]);
        return;
    };
    let problems = Problems::default();
    for (key, node) in map {
        match key.text.as_str() {
            "refused" => book.refusals = refusals(node, &problems),
            name if name.contains('.') => match read::<Operation>(node, &problems) {
                Some(operation) => drop(book.operations.insert(name.into(), operation)),
                None => drop(book.unread.operations.insert(name.into())),
            },
            name => {
                book.unread.operations.insert(name.into());
                let problem = Problem::new(key.at, format!("`{name}` is no operation"))
                    .hint("an operation is named `service.verb`; beside them stands only `refused`");
                problems.borrow_mut().push(problem);
            }
        }
    }
    invalid.add(source, problems.into_inner());
}

fn refusals(node: &Node, problems: &Problems) -> Refusals {
    let wholes: Vec<Whole> = read(node, problems).unwrap_or_default();
    let forms = wholes.iter().filter_map(|whole| {
        let syntax: FormSyntax = read(&whole.0, problems)?;
        syntax.form(whole).map_err(|problem| problems.borrow_mut().push(problem)).ok()
    });
    Refusals(forms.collect())
}

/// A file's name without its ending.
fn stem(source: &Source) -> &str {
    source.name.rsplit('/').next().and_then(|file| file.rsplit_once('.')).map_or("", |(stem, _)| stem)
}

fn flow(file: &Parsed<'_>, invalid: &mut Invalid) -> Option<Flow> {
    let source = file.source;
    let syntax: FlowSyntax = whole(file, invalid)?;
    let problems = Problems::default();
    let steps = syntax.steps.iter().filter_map(|whole| Step::read(&whole.0, &problems)).collect();
    let stem = stem(source);
    if stem != syntax.flow.value {
        let text = format!("the flow is called `{}`, and its file `{stem}`", syntax.flow.value);
        problems.borrow_mut().push(Problem::new(syntax.flow.at, text));
    }
    invalid.add(source, problems.into_inner());
    Some(Flow { syntax, steps, source: source.clone() })
}

fn cases(file: &Parsed<'_>, invalid: &mut Invalid) -> Vec<Case> {
    let source = file.source;
    let Some(suite) = whole::<SuiteSyntax>(file, invalid) else { return vec![] };
    let family = source.name.split('/').rev().nth(1).unwrap_or_default().to_owned();
    let problems = Problems::default();
    let title = suite.title.value;
    let cases =
        suite.cases.into_iter().map(|syntax| case(syntax, &family, &title, source, &problems)).collect();
    invalid.add(source, problems.into_inner());
    cases
}

fn case(syntax: CaseSyntax, family: &str, suite: &str, source: &Source, problems: &Problems) -> Case {
    Case {
        family: family.into(),
        suite: suite.into(),
        source: source.clone(),
        tags: syntax.tags,
        needs: syntax.needs,
        identities: syntax.identities.map(|whole| identities(&whole.0, problems)).unwrap_or_default(),
        for_each: syntax.for_each.and_then(|whole| for_each(&whole.0, problems)),
        is_alone: syntax.alone,
        given: syntax.given,
        limit: syntax.limit.map_or(LIMIT, |limit| limit.0),
        has_steps: !syntax.steps.is_empty(),
        steps: syntax.steps.iter().filter_map(|whole| Step::read(&whole.0, problems)).collect(),
        uses: Uses::default(),
        id: syntax.id,
        why: syntax.why,
    }
}

fn entries<'n>(node: &'n Node, problems: &Problems, wanted: &str) -> &'n [(Key, Node)] {
    match &node.what {
        What::Map(map) => map,
        _ => {
            problems
                .borrow_mut()
                .push(Problem::new(node.at, format!("wanted {wanted}, found {}", node.described())));
            &[]
        }
    }
}

fn identities(node: &Node, problems: &Problems) -> Vec<(At<String>, IdentityUse)> {
    entries(node, problems, "a map of identities")
        .iter()
        .filter_map(|(key, node)| {
            let kind: At<String> = read(node, problems)?;
            let name = At { value: key.text.clone(), at: key.at };
            let (kind_name, of) = match kind.value.strip_suffix(')').and_then(|it| it.split_once('(')) {
                Some((kind, of)) => (kind.trim().to_owned(), Some(of.trim().to_owned())),
                None => (kind.value.clone(), None),
            };
            Some((name, IdentityUse { kind: At { value: kind_name, at: kind.at }, of }))
        })
        .collect()
}

fn for_each(node: &Node, problems: &Problems) -> Option<(At<String>, Members)> {
    let [(key, node)] = entries(node, problems, "a map with one name") else {
        problems.borrow_mut().push(Problem::new(node.at, "wanted one name, with a pod group or a list"));
        return None;
    };
    let name = At { value: key.text.clone(), at: key.at };
    let members = match &node.what {
        What::Text(group) => Members::Group(At { value: group.clone(), at: node.at }),
        What::List(list) if !list.is_empty() => {
            let list: Vec<Value> = list.iter().map(|one| plain(one, problems)).collect();
            let names: Vec<String> = list.iter().map(shown).collect();
            if let Some((_, twice)) = names.iter().enumerate().find(|(at, one)| names[..*at].contains(one)) {
                let text = format!("two members are called `{twice}`, and so would their cases be");
                problems.borrow_mut().push(Problem::new(node.at, text));
            }
            Members::List(list)
        }
        _ => {
            problems
                .borrow_mut()
                .push(Problem::new(node.at, "wanted a pod group or a list that is not empty"));
            return None;
        }
    };
    Some((name, members))
}

fn plain(node: &Node, problems: &Problems) -> Value {
    match Data::new(node).map(|data| data.constant()) {
        Ok(Some(value)) => value,
        Ok(None) => {
            problems
                .borrow_mut()
                .push(Problem::new(node.at, "members are fixed: an expression cannot stand here"));
            Value::Null
        }
        Err(problem) => {
            problems.borrow_mut().push(problem);
            Value::Null
        }
    }
}

fn needs(file: &Parsed<'_>, invalid: &mut Invalid) -> BTreeMap<String, String> {
    let source = file.source;
    let map: BTreeMap<At<String>, At<String>> = whole(file, invalid).unwrap_or_default();
    for (name, sentence) in map.iter().filter(|(_, sentence)| sentence.trim().is_empty()) {
        let text = format!("the need `{}` is explained by nothing", name.value);
        invalid.add(source, [Problem::new(sentence.at, text).hint("say what a target must have")]);
    }
    map.into_iter().map(|(name, sentence)| (name.value, sentence.value)).collect()
}

fn known_failures(file: &Parsed<'_>, invalid: &mut Invalid) -> Vec<(String, KnownFailure)> {
    let source = file.source;
    let list: Vec<KnownSyntax> = whole(file, invalid).unwrap_or_default();
    // Days are compared as texts.
    let is_day = |text: &str| text.parse::<jiff::civil::Date>().is_ok_and(|day| day.to_string() == text);
    for known in list.iter().filter(|known| !is_day(&known.until)) {
        let text = format!("wanted a day such as 2026-12-31, found `{}`", known.until.value);
        invalid.add(source, [Problem::new(known.until.at, text)]);
    }
    list.into_iter()
        .map(|known| {
            let target = known.target.value;
            let known = KnownFailure {
                case: known.case.value,
                step: known.step.value,
                failure: known.failure.value,
                because: known.because.value,
                ticket: known.ticket.value,
                until: known.until.value,
            };
            (target, known)
        })
        .collect()
}

impl Case {
    /// Where its id stands.
    pub fn place(&self) -> Place {
        self.id.at
    }

    /// The name of one of its members.
    pub fn name_of(&self, member: Option<&Value>) -> String {
        match member {
            None => self.id.value.clone(),
            Some(member) => format!("{}[{}]", self.id.value, shown(member)),
        }
    }
}

fn shown(member: &Value) -> String {
    let name = member.get("name").and_then(Value::as_str).or_else(|| member.as_str());
    name.map_or_else(|| member.to_string(), str::to_owned)
}
