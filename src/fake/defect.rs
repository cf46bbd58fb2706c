//! Named ways in which the fakes misbehave on purpose.
//!
//! Lives here: the list, with a line on each. Does not: the misbehaviour itself, which stands where the right behaviour
//! stands.

use std::collections::BTreeSet;

macro_rules! defects {
    ($($variant:ident $name:literal $real:literal $line:literal;)*) => {
        /// One named misbehaviour.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Defect { $(#[doc = $line] $variant,)* }

        impl Defect {
            /// Every defect there is, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in kebab case.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $(Self::$variant => $name,)* } }

            /// What it does, in one line.
            #[must_use]
            pub fn description(self) -> &'static str { match self { $(Self::$variant => $line,)* } }

            /// Whether the real platform, v3.0.1, had it on the day of the recordings.
            #[must_use]
            pub fn is_real(self) -> bool { match self { $(Self::$variant => $real,)* } }
        }
    };
}

defects! {
    StoreReadsAnyNamespace "store-reads-any-namespace" false "any account may read and list any database";
    StoreWritesAnyNamespace "store-writes-any-namespace" false "any account may write and delete in any database";
    StoreReadIgnoresPrefixBoundary "store-read-ignores-prefix-boundary" false "a namespace whose name begins like another's may read the other's database";
    StoreErrorShowsValue "store-error-shows-value" false "a refused read carries the record's value in its error";
    StoreErrorShowsExistence "store-error-shows-existence" false "a refused read says whether the key is there";
    StoreListShowsForeignKeys "store-list-shows-foreign-keys" false "a list of one's own database has the keys of the others too";
    BlobReadsAnyNamespace "blob-reads-any-namespace" false "any account may read the blobs of any namespace";
    LostWrite "lost-write" false "a record written by an account is confirmed and lost";
    DeletedRecordStays "deleted-record-stays" false "a deleted record is confirmed and stays";
    RecordNeverExpires "record-never-expires" false "the expiry of a record is ignored";
    StoreForgetsOnRestart "store-forgets-on-restart" false "what tenants stored is gone after the store's pod was replaced";
    CustomersReadOpen "customers-read-open" false "any account may read customers";
    NamespacesListOpen "namespaces-list-open" false "any account may list and read namespaces";
    AccountsListOpen "accounts-list-open" false "accounts of any namespace are listed for anybody";
    AccountsListShowsSecrets "accounts-list-shows-secrets" false "listed accounts carry the hash of their secret";
    AccountsDeleteOpen "accounts-delete-open" false "any account may delete accounts of any namespace";
    RulesListOpen "rules-list-open" false "any account may list the rules of any namespace";
    DeletedRuleStays "deleted-rule-stays" false "a deleted rule is confirmed and stays";
    RulesCreateOpen "rules-create-open" false "any account may create rules in any namespace";
    GenerateOpen "generate-open" false "anybody may generate accounts in any namespace";
    DefaultAdminBack "default-admin-back" false "the account admin with password micro is back in namespace micro";
    DefaultAdminInTenants "default-admin-in-tenants" false "every namespace has the account admin with password micro";
    DefaultRuleBack "default-rule-back" false "the public rule default is back in namespace micro";
    ExpiredTokenAccepted "expired-token-accepted" false "an expired access token is still accepted";
    GarbageTokenAccepted "garbage-token-accepted" false "any text is accepted as the token of a micro account";
    TokenForOtherNamespace "token-for-other-namespace" false "a token is issued for namespace micro whatever was asked";
    TokenRenamed "token-renamed" false "the token of an account of a tenant is told under another name";
    TenantTokensSpoiled "tenant-tokens-spoiled" false "the token of an account of a tenant opens nothing";
    WrongPasswordAccepted "wrong-password-accepted" false "any password opens an account";
    OldPasswordAccepted "old-password-accepted" false "a change of password is confirmed and not made";
    DeletedAccountLogsIn "deleted-account-logs-in" false "a deleted account can still log in";
    DeletedAccountRefreshes "deleted-account-refreshes" true "an access token of a deleted account still serves as a refresh token";
    AnonymousHeaderMakesRules "anonymous-header-makes-rules" true "an anonymous call with any Micro-Namespace stores a default rule there";
    TenantHeaderMisroutes "tenant-header-misroutes" true "an anonymous call with a tenant's Micro-Namespace finds no route to its services";
    CodeNeverExpires "code-never-expires" false "a one-time code is accepted at any age";
    ExpiredCodeCompletes "expired-code-completes" true "a signup can be completed with an expired code";
    CodeReusable "code-reusable" false "a one-time code still completes after it has been used";
    OldCodeAccepted "old-code-accepted" false "a superseded one-time code is still accepted";
    WrongCodeAccepted "wrong-code-accepted" false "any one-time code is accepted";
    CodeTooShort "code-too-short" false "one-time codes have four letters";
    CodeNotSent "code-not-sent" false "a verification e-mail is confirmed and never sent";
    CodeInError "code-in-error" false "the refusal of a wrong code shows the right one";
    UninvitedAccepted "uninvited-accepted" false "the invite-only switch is ignored";
    SecondSignupAccepted "second-signup-accepted" false "an address that has signed up may do so again";
    SignupWrongNamespace "signup-wrong-namespace" false "a signup answers with another namespace than it made";
    NamespaceBadName "namespace-bad-name" false "a new namespace's name is one word";
    JoinGivesWrongNamespace "join-gives-wrong-namespace" false "an invited user who joins gets a namespace of their own";
    InviteToForeignNamespace "invite-to-foreign-namespace" false "anybody may invite into any namespace";
    InviteLimitIgnored "invite-limit-ignored" false "a user may invite any number of addresses";
    CustomerNeverActive "customer-never-active" false "a customer who has signed up never becomes active";
    AccountMissingAfterSignup "account-missing-after-signup" false "signup succeeds and makes no account";
    NamespaceStaysInCluster "namespace-stays-in-cluster" false "the Kubernetes namespace of a deleted customer stays";
    CustomerDeleteKeepsAccount "customer-delete-keeps-account" false "deleting a customer leaves the account and the namespace";
    RecoverShowsSecret "recover-shows-secret" false "the refusal of a second recovery shows the mailed namespaces and code";
    HelloworldWrongAnswer "helloworld-wrong-answer" false "helloworld greets everybody as World";
    PostsNotListed "posts-not-listed" false "a saved post is missing from the list of all posts";
    PostUpdateLost "post-update-lost" false "an update of a post is confirmed and lost";
    DeletedPostStays "deleted-post-stays" true "a deleted post stays in the list of all posts";
    TagsCountWrong "tags-count-wrong" false "tags are counted one too many";
    TagsRemoveIgnored "tags-remove-ignored" false "removing a tag is confirmed and not done";
    DebugOpenToAnonymous "debug-open-to-anonymous" false "the debug endpoints need no account";
    LogShowsCodes "log-shows-codes" false "one-time codes stand in the log of signup";
    GatewayErrorLowercaseKeys "gateway-error-lowercase-keys" false "error bodies have lower-case keys";
    GatewayRulesIgnored "gateway-rules-ignored" false "the gateway does not ask the rules";
    UnknownServiceAnswers "unknown-service-200" false "a call of an unknown service succeeds";
    HealthLies "health-lies" false "store and config say they are healthy and fail every call";
    HealthWrong "health-wrong" false "registry, store and emails answer their health check with 500";
    StatsEmpty "stats-empty" false "the statistics of a service are empty";
    CoreDeploymentMissing "core-deployment-missing" false "a core deployment is missing from the cluster";
    RunListServiceMissing "run-list-service-missing" false "a service of the run list was never run";
    PreflightRefused "preflight-refused" false "the gateway refuses OPTIONS";
    UnknownFieldIgnored "unknown-field-ignored" false "a body with an unknown field is taken as an empty one";
    UnknownMethodAnswers "unknown-method-answers" false "a call of an unknown method succeeds";
    StatusLies "status-lies" false "status reports a failure that is none";
    SecretInError "secret-in-error" false "a refused login shows the right secret";
    ConfigSecretInPlain "config-secret-in-plain" false "a secret config value is shown to whoever asks for it plainly";
    ConfigReadsAnyNamespace "config-reads-any-namespace" false "any account may read the config of any namespace";
    ConfigSetLost "config-set-lost" false "a config value is confirmed and not set";
    DeletedSettingStays "deleted-setting-stays" false "a deleted config value is confirmed and stays";
    ConfigMergeReplaces "config-merge-replaces" false "setting an object replaces its siblings instead of merging";
    RuntimeReadOpen "runtime-read-open" false "any account may list the services of any namespace";
    RuntimeWriteOpen "runtime-write-open" false "any account may run, update and delete services in any namespace";
    ServiceNotRunning "service-not-running" false "a service that was run never starts";
    ServiceNotDeleted "service-not-deleted" false "deleting a service is confirmed and not done";
    RegistryListsAnyNamespace "registry-lists-any-namespace" false "any account may see the registry of any namespace";
    HttpRpcDiffer "http-rpc-differ" false "store reads over the gRPC proxy lose the last byte of the value";
    TablesListOpen "tables-list-open" false "any account may list the tables of any database";
    MailsOpen "mails-open" false "anybody may have mail sent";
    CustomerNeverVerified "customer-never-verified" false "a customer whose address was verified stays unverified";
    DeletedCustomersListed "deleted-customers-listed" false "customers who were deleted stay in the list";
    NamespacesWriteOpen "namespaces-write-open" false "any account may change and delete namespaces";
    NamespaceUserLost "namespace-user-lost" false "a user who was added to a namespace is not in it";
    TagUpdateUnchecked "tag-update-unchecked" false "a description of a tag that does not exist is confirmed";
    ServiceUpdateLost "service-update-lost" false "an update of a service is confirmed and not made";
    CardUnchecked "card-unchecked" false "an empty payment method is taken";
    CardNotRequired "card-not-required" false "a paid signup completes without a payment method";
    PaidSignupNotBilled "paid-signup-not-billed" false "a paid signup makes no subscription";
    JoinerNotBilled "joiner-not-billed" false "who joins a paid namespace has no subscription, and its owner pays for nobody more";
    CancelKeepsAccount "cancel-keeps-account" false "a cancelled subscription leaves the customer, the account and the namespace";
    CancelKeepsJoiners "cancel-keeps-joiners" false "who joined a namespace stays a customer when its owner cancels";
    UsageRuleLeft "usage-rule-left" false "a public rule was left that opens usage to everybody";
    UsageCountsWrong "usage-counts-wrong" false "services are not counted in what a namespace uses";
    UnknownCardAccepted "unknown-card-accepted" false "a payment method that the provider does not know is taken";
    CancelKeepsProviderCustomer "cancel-keeps-provider-customer" false "a cancelled subscription leaves its customer at the payment provider, who goes on paying";
    CancelOpenToAnybody "cancel-open-to-anybody" false "anybody may cancel anybody's subscription";
    OwnCancelRefused "own-cancel-refused" false "nobody but the operator may cancel a subscription, not even who pays";
    SubscriptionsRuleLeft "subscriptions-rule-left" false "a public rule was left that opens subscriptions to everybody";
    DeclinedCardAccepted "declined-card-accepted" false "a card that the provider declines pays all the same";
    FirstCardStays "first-card-stays" false "a card that was given at signup is not replaced by a later one";
    ProviderKeyWrong "provider-key-wrong" false "the key of the payment provider is one that it does not accept";
    RegistryListsInfrastructure "registry-lists-infrastructure" false "the registry names the database among the services";
    MailUnchecked "mail-unchecked" false "a mail to nobody is confirmed";
    RpcLosesAMember "rpc-loses-a-member" false "replies over the gRPC proxy lose their last member";
    TraceEmpty "trace-empty" false "a service that was called has no spans";
    RefusalBringsData "refusal-brings-data" false "the gateway's refusals bring along what somebody else may see";
    RpcIgnoresRules "rpc-ignores-rules" false "the gRPC proxy does not ask the rules";
    PodNeverReady "pod-never-ready" false "a replaced pod never becomes ready";
    PodReadyForAMoment "pod-ready-for-a-moment" false "a replaced pod becomes ready and is not any more, for good";
    PodSlow "pod-slow" false "a replaced pod is ready only after its budget";
    PodNotServed "pod-not-served" false "a replaced pod is ready and registered, and refuses connections for too long";
    NodeListedAgain "node-listed-again" false "a dead pod's node is listed once more, beside its successor's";
    GhostNodeStays "ghost-node-stays" false "a dead pod's node stays in the registry for ever";
    PodNeverReplaced "pod-never-replaced" false "a deleted pod is not replaced";
    PodsEndFirst "pods-end-first" false "a deployment ends its pods before their successors are there";
    RolloutNeverDone "rollout-never-done" false "a deployment never says that it has replaced its pods";
    WatchSilent "watch-silent" false "watches of the Kubernetes API stay open and say nothing";
    EvictionRefused "eviction-refused" false "every eviction is refused, as if a disruption budget that nobody sees forbade it";
    EvictionDenied "eviction-denied" false "the account that is used may not evict pods";
    NodeNotReady "node-not-ready" false "a node of the cluster is not Ready";
    PodStaysPending "pod-stays-pending" false "a pod in namespace micro waits for an image that cannot be had";
    OldImage "old-image" false "a core deployment still runs the image of the release before";
    ProxyIngressMissing "proxy-ingress-missing" false "no ingress leads to the proxy";
    CertificateRunsOut "certificate-runs-out" false "a certificate ends in three days, for its renewal has failed";
    SecretKeyMissing "secret-key-missing" false "the key slack of micro-secrets is empty";
    BackupMissing "backup-missing" false "the database has no backup job";
    BackupSuspended "backup-suspended" false "the backup job of the database is suspended";
    BackupFails "backup-fails" false "the backup job of the database runs and no longer succeeds";
    BackupNotUploaded "backup-not-uploaded" false "the backup job succeeds, and for a day has uploaded nothing";
    BackupIsEmpty "backup-is-empty" false "the dumps in the bucket are empty";
    NamespaceLabelMissing "namespace-label-missing" false "the Kubernetes namespaces lack the label owner=micro";
    RulesForgottenOnRestart "rules-forgotten-on-restart" false "a replaced auth pod forgets the rules and is open to all";
    AccountsForgottenOnRestart "accounts-forgotten-on-restart" false "a replaced auth pod refuses the tokens of before";
}

/// The defects that are on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Defects(BTreeSet<Defect>);

impl Defects {
    /// Reads names; an unknown one is the error.
    pub(crate) fn named(names: &[String]) -> Result<Self, String> {
        let known = |name: &String| Defect::ALL.iter().find(|defect| defect.name() == name).copied();
        let found: Result<_, String> =
            names.iter().map(|name| known(name).ok_or_else(|| name.clone())).collect();
        found.map(Self)
    }

    /// Whether the defect is on.
    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.0.contains(&defect)
    }

    /// The names of those that are on.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|defect| defect.name()).collect()
    }
}
