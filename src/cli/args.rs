//! The command line, as clap reads it. Nothing but types.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Does this release pass muster? Regression and resiliency tests for a service platform on Kubernetes.
#[derive(Debug, Parser)]
#[command(name = "muster", version, disable_help_subcommand = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs cases, against the built-in fakes unless a target is given.
    #[command(visible_alias = "r")]
    Run(Box<RunArguments>),
    /// Lists the cases that would run.
    List(ListArguments),
    /// Reads all suites, and a target file if one is given, and tells every problem.
    Check(CheckArguments),
    /// Explains a step kind, a case, a fault, a target file, or the language of suites.
    Explain(ExplainArguments),
    /// Prints the JSON Schema of a kind of file.
    Schema(SchemaArguments),
    /// Renders a report of an earlier run.
    Report(ReportArguments),
    /// Puts back what an earlier run could not.
    Cleanup(CleanupArguments),
    /// Writes a first target file, from a few answers and what a cluster shows of itself.
    Init(InitArguments),
    /// Prints the least Roles and ClusterRole that the chosen cases need on the target's cluster.
    Rbac(RbacArguments),
    /// Examines a target: addresses, certificates, clocks, cluster, rights, identities, mailbox.
    Doctor(DoctorArguments),
    /// Serves the built-in fakes until it is stopped, and prints their target file.
    Fake(Box<FakeArguments>),
    /// Runs cases and reports each as one test, in the dialect of `cargo test`.
    Libtest(LibtestArguments),
    /// Explains a topic: `exit-codes`.
    Help(HelpArguments),
}

/// Where suites come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SuitesArguments {
    /// A folder of suites, instead of those built into the program.
    #[arg(long, value_name = "DIR")]
    pub(crate) suites: Option<PathBuf>,
}

/// Which cases are chosen.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SelectionArguments {
    /// Parts of FAMILY/ID, as `muster list` shows them; one of them must be found. Each must match some case.
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// A tag that a case must have; given more than once, one of them.
    #[arg(long = "tag", short = 't', value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// FILTER is a whole ID, or a whole FAMILY/ID.
    #[arg(long)]
    pub(crate) exact: bool,
    /// The target file; the built-in fakes if absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) target: Option<PathBuf>,
    /// Lets disruptive cases break what the target permits. Implied on the built-in fakes.
    #[arg(long)]
    pub(crate) allow_disruption: bool,
    /// The seed of every random choice; drawn if absent.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// On the built-in fakes: switches a named defect on.
    #[arg(long = "defect", value_name = "NAME")]
    pub(crate) defects: Vec<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) suites: SuitesArguments,
    #[command(flatten)]
    pub(crate) selection: SelectionArguments,
    /// How many cases run beside each other.
    #[arg(long, short = 'j', value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: u16,
    /// The longest the run may take, such as `10m`; what is not run by then is Inconclusive.
    #[arg(long, value_name = "TIME", value_parser = crate::source::span)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Waits so long at most for the target to answer; one that does not by then is not judged at all: exit code 3.
    #[arg(long, value_name = "TIME", value_parser = crate::source::span)]
    pub(crate) wait_for_target: Option<std::time::Duration>,
    /// Stops at the first failure.
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// Prints the plan and runs nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// A report to write; all of them if absent.
    #[arg(long = "report", value_name = "KIND")]
    pub(crate) reports: Vec<String>,
    /// Where reports are written.
    #[arg(long, value_name = "DIR", default_value = "muster-report")]
    pub(crate) report_dir: PathBuf,
    /// Where journals are kept; `$XDG_STATE_HOME/muster` if absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Where snapshots are stored.
    #[arg(long, value_name = "DIR", default_value = "fixtures/snapshots")]
    pub(crate) snapshots: PathBuf,
    /// Takes what replies are now as what they must be.
    #[arg(long)]
    pub(crate) update_snapshots: bool,
    /// On the built-in fakes: the scale of their clock.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.05)]
    pub(crate) pace: f64,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) suites: SuitesArguments,
    #[command(flatten)]
    pub(crate) selection: SelectionArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) suites: SuitesArguments,
    /// A target file to check too.
    #[arg(long, value_name = "FILE")]
    pub(crate) target: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    #[command(flatten)]
    pub(crate) suites: SuitesArguments,
    /// `step`, `case`, `fault`, `target` or `language`.
    pub(crate) what: String,
    /// Which step kind, case or fault.
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// `suite`, `flow`, `operations`, `target` or `known-failures`.
    #[arg(default_value = "suite")]
    pub(crate) kind: String,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// The kind of report.
    pub(crate) kind: String,
    /// The run: its report folder, or its `run.jsonl`. The same as `--from`.
    #[arg(value_name = "PATH", conflicts_with = "from")]
    pub(crate) run: Option<PathBuf>,
    /// The run: its report folder, or its `run.jsonl`.
    #[arg(long, value_name = "PATH", default_value = "muster-report")]
    pub(crate) from: PathBuf,
}

/// What is not given is asked for at a terminal; without one the usual answer is taken.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Where the target file is written.
    #[arg(long, value_name = "FILE", default_value = "target.yaml")]
    pub(crate) write: PathBuf,
    /// For a platform that is not Micro's: a folder that is made, with suites to begin with.
    #[arg(long, value_name = "DIR")]
    pub(crate) starter: Option<PathBuf>,
    /// A name for the target.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The HTTP API.
    #[arg(long, value_name = "URL")]
    pub(crate) api: Option<String>,
    /// The gRPC proxy.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) proxy: Option<String>,
    /// The id of the operator's account.
    #[arg(long, value_name = "ID")]
    pub(crate) operator: Option<String>,
    /// The environment variable that holds the operator's secret.
    #[arg(long, value_name = "NAME", default_value = "MUSTER_OPERATOR")]
    pub(crate) secret_variable: String,
    /// The context of the cluster behind it.
    #[arg(long, value_name = "NAME", conflicts_with = "server")]
    pub(crate) context: Option<String>,
    /// The kubeconfig that holds the context; that of kubectl if absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Instead of a context: an API server that asks for no sign-in.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RbacArguments {
    /// The target file.
    #[arg(long, value_name = "FILE")]
    pub(crate) target: PathBuf,
    /// Parts of FAMILY/ID, as `muster list` shows them; all cases if absent.
    #[arg(value_name = "FILTER")]
    pub(crate) filters: Vec<String>,
    /// Where suites come from.
    #[command(flatten)]
    pub(crate) suites: SuitesArguments,
    /// Binds them to this service account too.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) bind_to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The target file.
    #[arg(long, value_name = "FILE")]
    pub(crate) target: PathBuf,
    /// Where suites come from.
    #[command(flatten)]
    pub(crate) suites: SuitesArguments,
    /// Where journals are kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CleanupArguments {
    /// The target file.
    #[arg(long, value_name = "FILE")]
    pub(crate) target: PathBuf,
    /// One run only.
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Every run: what is done if no run is named.
    #[arg(long, conflicts_with = "run")]
    pub(crate) all: bool,
    /// Prints what would be put back, and changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Where journals are kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct FakeArguments {
    /// Another fake than the platform.
    #[command(subcommand)]
    pub(crate) other: Option<OtherFake>,
    /// Where the target file is written; printed if absent.
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// Where the secrets that the target file names are written (mode 0600).
    #[arg(long, value_name = "FILE", default_value = "muster-fake-secrets")]
    pub(crate) secrets: PathBuf,
    /// The scale of its clock: timers that callers cannot see run this much faster.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.05)]
    pub(crate) pace: f64,
    /// The seed of its random choices.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Switches a named defect on.
    #[arg(long = "defect", value_name = "NAME")]
    pub(crate) defects: Vec<String>,
    /// The address of the HTTP API.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) api: std::net::SocketAddr,
    /// The address of the gRPC proxy.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) proxy: std::net::SocketAddr,
    /// The address of the Kubernetes API.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) kubernetes: std::net::SocketAddr,
    /// The address of the admin port: `GET /state`, `POST /clock`.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) admin: std::net::SocketAddr,
    /// A mail server to which the platform's mails are sent by SMTP, such as `muster fake mail`.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) mail_to: Option<std::net::SocketAddr>,
    /// The platform's pods are other processes, `muster fake --service`, which come to this address. The operator's
    /// secret is that of the variable MUSTER_OPERATOR then, if it is set.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "kubernetes")]
    pub(crate) pods_at: Option<std::net::SocketAddr>,
    /// Is one pod of this service, as a process of its own.
    #[arg(long, value_name = "NAME", requires_all = ["state", "uid"], conflicts_with = "pods_at")]
    pub(crate) service: Option<String>,
    /// What a pod needs to know.
    #[command(flatten)]
    pub(crate) pod: PodArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OtherFake {
    /// Serves a mail server instead: takes mails by SMTP, and shows them over HTTP in the form of maildev.
    Mail(FakeMailArguments),
}

#[derive(Debug, Args)]
pub(crate) struct FakeMailArguments {
    /// Where mails are taken.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) smtp: std::net::SocketAddr,
    /// Where they are shown.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) http: std::net::SocketAddr,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "With --service")]
pub(crate) struct PodArguments {
    /// Where the state is: the host and port of --pods-at.
    #[arg(long, value_name = "HOST:PORT", requires = "service")]
    pub(crate) state: Option<String>,
    /// The pod's name; that of its service if absent.
    #[arg(long, value_name = "NAME", requires = "service")]
    pub(crate) pod_name: Option<String>,
    /// The pod's UID.
    #[arg(long, value_name = "UID", requires = "service")]
    pub(crate) uid: Option<String>,
    /// Where others reach it; where it listens if absent.
    #[arg(long, value_name = "HOST:PORT", requires = "service")]
    pub(crate) address: Option<String>,
    /// Where it listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub(crate) listen: std::net::SocketAddr,
    /// The platform's namespace it belongs to; `core` for the platform's own services.
    #[arg(long, value_name = "NAME", default_value = "micro")]
    pub(crate) namespace: String,
    /// The outer door of the pods `api` and `proxy`: bytes are passed on to this address of the state.
    #[arg(long, value_name = "HOST:PORT", requires = "service")]
    pub(crate) relay_to: Option<String>,
    /// Where the outer door listens.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub(crate) relay_at: std::net::SocketAddr,
    /// Leaves its node in the registry when it is told to end.
    #[arg(long, requires = "service")]
    pub(crate) no_deregister: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LibtestArguments {
    /// Arguments in the dialect of `cargo test`: a filter, `--list`, `--exact`, `--skip`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct HelpArguments {
    /// The topic.
    pub(crate) topic: Option<String>,
}
