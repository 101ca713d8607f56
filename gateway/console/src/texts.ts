// Every text of the console. "…" in an operator is where its value stands.
import { count, plural } from "./format";
import type { NewKind } from "./builder/new";
import type { TimeForm } from "./rule/kinds";

export * from "./format";

/** The words of a rule in a sentence. */
export const words = {
  nobodyYet: "Nobody yet: the rule has no condition.",
  customers: "Customers ",
  who: "who", whose: "whose", forWhom: "for whom",
  and: " and ", or: " or ", but: " but ", notThose: "not those ", not: "not ", andWord: "and", orWord: "or",
  did: "did ", didNot: "did not ", anything: "anything", asThe: "as the ", among: " among those where ", where: " where ", ifIts: " had its ",
  once: "at least once", twice: "at least twice", times: (measure: string) => `${measure} times`, nth: (n: string) => `number ${n}`,
  withThe: " with the ", in: " in ", inARowNow: " in a row until now", inARow: " in a row", aPer: (unit: string) => ` per ${unit}, in `,
  hasOneWith: " has one with ", areIn: "are in ", isIn: "is in ", share: "share ", shares: "shares ", with: " with ",
  groupKeys: { any: "any customer", all: "only customers", none: "no customer" },
  areInPart: "are in the part from ", isInPart: "is in the part from ", shuffledBy: " shuffled by ",
  areListed: "are listed in ", isListed: "is listed in ", match: "match ", unshown: "something that only JSON says",
  column: " column ", it: "it", oneOf: "one of ", has: " has ", ignoringCase: " in any case", aValueOf: "a value of ",
  inTheLast: "in the last ", moreThan: "more than ", ago: " ago", between: "between ", this: "this ", inThePrevious: "in the previous ",
  inThePreviousSeveral: "in the previous ", since: "since ", before: "before ", from: "from ", to: " to ", on: "on ", within: " within ",
  afterTheir: "after their ", beforeTheir: "before their ",
  inOrder: "did in this order: ", then: ", then ", no: "no ", after: " after at least ", allWithin: ", all within ",
  timesInARow: (n: string) => `${n} times`,
  numberOf: "number of ", of: " of ", overAll: ", taken over all of the same ",
  areAmong: "are among the ", isAmong: "is among the ", top: (n: string) => `first ${n}`, part: ([low, high]: string[]) => `part from ${low} to ${high} %`,
  perGroup: " per ", by: " by ", ofThose: ", of those ", orders: { most: "the most", least: "the least" } as Record<string, string>,
  more: (n: number) => `${count(n)} more`,
  functions: { sum: "sum of", avg: "average", min: "smallest", max: "largest", count_distinct: "number of different", most_frequent: "most frequent" } as Record<string, string>,
  measures: {
    gte: (n: string) => `at least ${n}`, gt: (n: string) => `more than ${n}`, lte: (n: string) => `at most ${n}`, lt: (n: string) => `fewer than ${n}`,
    eq: (n: string) => `exactly ${n}`, neq: (n: string) => `not ${n}`, between: ([low, high]: string[]) => `${low} to ${high}`,
  },
  weekdays: {
    monday: "Monday", tuesday: "Tuesday", wednesday: "Wednesday", thursday: "Thursday", friday: "Friday", saturday: "Saturday", sunday: "Sunday",
  } as Record<string, string>,
  refs: {
    event: path => `the event’s ${path}`, profile: path => `the customer’s ${path}`, element: path => (path ? `its own ${path}` : "itself"), row: path => `the row’s ${path}`,
    step: (path, name) => `the ${path} of ${name}`,
  } as Record<string, (path: string, name?: string) => string>,
  operators: {
    eq: "is", neq: "is not", in: "is any of", not_in: "is none of", exists: "is known", not_exists: "is not known",
    gt: "is more than", gte: "is at least", lt: "is less than", lte: "is at most", between: "is between", not_between: "is not between",
    contains: "contains", not_contains: "does not contain", starts_with: "begins with", not_starts_with: "does not begin with",
    ends_with: "ends with", not_ends_with: "does not end with", regex: "matches the pattern", not_regex: "does not match the pattern",
    contains_any: "has any of", contains_all: "has all of", contains_none: "has none of",
    before: "is before", since: "is on or after", on: "is on", in_the_last: "is in the last", in_the_next: "is in the next", more_than_ago: "is more than … ago",
    this: "is in this", previous: "is in the previous", next: "is in the calendar’s next", anniversary_in_the_next: "has its day in the next",
    anniversary_in_the_last: "had its day in the last", anniversary_this: "has its day this",
  } as Record<string, string>,
};

export const common = {
  loading: "Loading", tryNow: "Try now", tryingAgain: (seconds: number) => `Trying again in ${Math.max(0, seconds)} s.`, copy: "Copy", copied: "Copied",
  see: (no: string) => `see ${no}`, leaves: (n: string) => `leaves ${n}`, undo: "Undo", back: "Back", cancel: "Cancel", save: "Save", close: "Close", more: "More", none: "none",
};

export const suggest = {
  add: "add", offered: "Known values", emptyText: "(empty text)", takeOut: (value: string) => `Take out ${value}`, andMore: (n: number) => `and ${count(n)} more`,
};

export const builder = {
  event: "Event", anyEvent: "any event", orAnother: "or …", or: "or", and: "and", property: "Property", array: "List", value: "Value", values: "Values", comparison: "Comparison",
  noJson: "This is not valid JSON. The rule is unchanged.", partAsJson: "This part as JSON", asJson: "as JSON:", also: (key: string) => `also ${key}`,
  where: "where", has: "has", ago: "ago", from: "From", to: "To", toWord: "to", length: "How long", unit: "Unit", date: "Date", number: "Number", oneOf: "one of",
  allOf: "all of", anyOf: "any of", noneOf: "not", howTheseCombine: "How these combine", anyCase: "in any case",
  addWhere: "+ where", moreForWhere: "More for this where", foldCase: "Ignore case", minCase: "Match case", removeIt: "Remove", addEither: "And: either … or", addElement: "And: one item of a list", byElement: "Ask one item of a list", addOr: "+ or", addAnd: "+ and", removeWhere: "Remove this where",
  addReference: "Compare with another property", addRows: "Take the values from a table", useValue: "Compare with a value", otherProperty: "Other property", whose: "Whose property", table: "table", column: "column",
  theEvents: "the event’s", theCustomers: "the customer’s", theElements: "its own", theRows: "the row’s", stepOf: (step: string) => `${step}’s`,
  time: "time", when: "When", addTime: "+ time", removeTime: "Remove this time", within: "within", addWithin: "+ within", removeWithin: "Remove within", weekdays: "Days of the week",
  afterTheir: "after their", beforeTheir: "before their", anchor: "Which moment", first: "first", last: "last", dateOfProfile: "date in the profile",
  timeForms: {
    in_the_last: "in the last", more_than_ago: "more than", between_ago: "between", this: "in this", previous: "in the previous", since: "since", before: "before",
    between: "on days from", weekday: "on", hours: "by the clock, from", from: "after", until: "up to",
  } satisfies Record<TimeForm, string> as Record<TimeForm, string>,
  measures: { gte: "at least", gt: "more than", lte: "at most", lt: "fewer than", eq: "exactly", neq: "not", between: "between" },
  howMany: "How many", did: "did", didNot: "did not", no: "no", didOrNot: "Did or did not", times: "times", addCount: "+ how often", removeCount: "Remove how often",
  counting: "counting only the", whichOne: "Which one", nth: "number", among: "among those where", addAmong: "+ among those", addOccurrence: "+ first or n-th only", removeOccurrence: "Count all of them",
  withThe: "with the", functionName: "Figure", addAggregate: "+ sum, average…", removeAggregate: "Remove the figure",
  per: "per", on: "in", streak: "Which periods", addPer: "+ per day, week…", removePeriods: "Remove the periods",
  inAll: (unit: string) => `${unit}s in all`, inARow: (unit: string) => `${unit}s in a row`, inARowNow: (unit: string) => `${unit}s in a row until now`,
  afterAtLeast: "after at least", addAfter: "+ after at least", removeAfter: "Remove after", addTimes: "+ several times", howOften: "How often", removeTimes: "Once only",
  called: "called", stepName: "Name of this step", addName: "+ name", removeName: "Remove the name", removePart: (key: string) => `Remove ${key}`,
  inOrder: "did in this order", firstWord: "first", then: "then", step: (n: number) => `Step ${n}`, removeStep: (n: number) => `Remove step ${n}`, removeThisStep: "remove step",
  allWithin: "all within", addAllWithin: "+ all within", addStep: "+ step", addNoStep: "+ but no …",
  compare: "compare", oneFigure: "Figure", otherFigure: "Other figure", numberOf: "number of", of: "of", profileNumber: "number in the profile", factor: "Factor", addFactor: "+ a factor", removeFactor: "Remove the factor",
  addOver: "+ over a household or company", overAll: "taken over all of the same", removeOver: "Each customer alone",
  isAmong: "is among the", cut: "Which part", part: "part from", addBy: "+ in each city…", perWord: "in each", removeBy: "In one ranking", byThe: "by the", order: "Order", most: "most", least: "least", addOf: "+ only among …",
  isIn: "is in", cohort: "Cohort", isInPart: "is in the part from", shuffledBy: "% shuffled by", salt: "Salt", isListed: "is listed in", shares: "shares", withWord: "with",
  whoseCondition: "Which customers", anyCustomer: "any customer who", onlyCustomers: "only customers who", noCustomer: "no customer who",
  empty: "Add the first condition: which customers do you want?", add: "Add", more: "more…", customersWho: "Customers who match",
  allOfThese: "all of these", anyOfThese: "any of these", noneOfThese: "none of these", wholeRule: "The whole rule", groupNo: (no: string) => `Group ${no}`, conditionNo: (no: string) => `Condition ${no}`,
  addIn: (no: string) => `+ condition in ${no}`, fold: (no: string) => `Fold condition ${no}`, moreFor: (no: string) => `More for ${no}`,
  newKinds: {
    did: "did", did_not: "did not", profile: "has", cohort: "is in", sequence: "did in this order", group: "Group: all, any or none of", compare: "Compare two figures", rank: "Rank", sample: "Sample",
    household: "Anyone in the same household or company", listed: "Listed in a table of yours",
  } satisfies Record<NewKind, string>,
  newHints: { profile: "profile", cohort: "cohort", compare: "this month with last", rank: "first 1,000, per city", sample: "0 to 10 %" } as Partial<Record<NewKind, string>>,
  duplicate: "Duplicate", moveUp: "Move up", moveDown: "Move down", putInGroup: "Put in a group", turnOpposite: "Turn into its opposite", leaveOut: "Leave out for now", bringBack: "Bring back", remove: "Remove",
  isLeftOut: "Left out for now.", movedTo: (no: string) => `Now ${no}.`, use: (text: string) => `Use “${text}”`,
  problemText: (text: string) => {
    const quoted = text.replace(/"([^"]*)"/g, "“$1”");
    return `${quoted.charAt(0).toUpperCase()}${quoted.slice(1)}.`;
  },
  didYouMean: (text: string) => `Did you mean “${text}”?`,
};

export { plural };

export const result = {
  title: "Result", before: (time: string) => `of ${time}, before the problem`, of: (part: string, whole: string) => `${part} of ${whole}`, noRule: "Nobody yet.", noSize: "No size yet.", counting: "Counting …",
  problems: (n: number) => (n === 1 ? "One problem," : `${count(n)} problems, the first`), at: (no: string) => `at ${no}`, show: "show it", saveTakesYou: "Save takes you there.", draftIsSafe: "Your draft is kept in this browser.",
  reachable: "Reachable at", destinations: "Destinations", runSays: "Run shows how many members each destination can receive.", noDestination: "There is no destination yet.", byId: "goes by the customer’s id",
  allHave: (needs: string) => `all have ${needs}`, lack: (n: string, needs: string) => `${n} have no ${needs}`, isOld: "For the rule before the last change.", runAgain: "Run again", sample: "Examples", runShows: "Run shows six of them.", nobody: "Nobody matches",
  customer: "Customer", profile: "Profile", noProfile: "no profile", announced: (size: string, part: string, whole: string) => `${size}, ${part} of ${whole}.`,
};

export const save = {
  save: "Save", title: (version: number) => `Save version ${version}?`, members: "Members", gained: "Gained", lost: "Lost", unused: "No sync and no other cohort uses it.", usedBy: "It is used by", syncTo: (name: string) => `the sync to ${name}`,
  cohort: (name: string) => `the cohort “${name}”`, conflict: "Somebody changed this cohort while you edited it", theirs: "Theirs", mine: "Mine", both: "Take both", compare: "Compare",
  savedBy: (who: string, version: number) => `Version ${version} of ${who} was saved after you opened it. It is not overwritten until you choose.`, theyChanged: "They changed", youChanged: "You changed",
  onlyTheWhole: "how the conditions combine, or the time zone", sameCondition: "Both changes touch the same condition. Choose one.",
  effect: (gained: number | null, lost: number | null) => (gained === null || lost === null ? "" : ` ${gained === 0 ? "Nobody" : count(gained)} gained, ${lost === 0 ? "nobody" : count(lost)} lost.`),
  saved: (version: number, effect: string) => `Saved as version ${version}.${effect}`, savedNew: (name: string) => `Saved “${name}”.`, needsName: "A cohort needs a name.", needsCondition: "A cohort needs a condition.",
};

export const page = {
  cohorts: "Cohorts", new: "New", newCohort: "New cohort", editing: (name: string) => `Edit ${name}`, name: "Name of the cohort", namePlaceholder: "Name", draftKept: (time: string) => `Draft kept in this browser, ${time}`,
  undo: "Undo", run: "Run", save: "Save", inWords: "In words", daysBegin: "Days begin in", rule: "Rule", form: "Form", json: "JSON", sql: "SQL", sizeAndSave: "Size and save",
  draftOf: (when: string) => `Your draft of ${when} is open.`, draftUnchanged: "It is not saved. Nobody has changed the cohort since then.", draftChanged: "It is not saved. The cohort has been changed since then; Save compares both versions.", goOn: "Go on with it", discard: "Discard",
  notYours: (owner: string) => `This cohort belongs to ${owner}. You can look at it and try changes; saving needs its owner’s rights.`, isList: "This cohort is a list of customers, not a rule. Saving a rule replaces the list.", isQuery: "The members of this cohort are the result of a query. Change it in SQL with cohort_update_query.",
  problemAt: (n: number, no: string) => `${n === 1 ? "One problem" : `${count(n)} problems`}${no ? `, at ${no}` : ""}`,
  ruleAsJson: "The rule as JSON", noJson: (what: string) => `This is not a valid rule yet: ${what}. The form shows the last valid rule.`, sameRule: "No problems. The form shows the same rule.",
  noSql: "-- SQL is shown when the rule has no problems.", oldSql: "For the rule before the last change.", sqlIsForReading: "You can read and run it. To change the rule, use the form or the JSON.",
};

export const signIn = {
  title: "Sign in to Cohorts", role: "Role", password: "Password", help: "A database role and its password.", signIn: "Sign in", wrong: "The role or the password is wrong.", wrongHint: "The delay grows with each failed attempt.",
  expired: "Your session has ended. Drafts are kept in this browser.",
};

export const shell = {
  skip: "Skip to the content", brand: "Kursaha", pages: { cohorts: "Cohorts", customers: "Customers", events: "Events", syncs: "Syncs", destinations: "Destinations", operation: "Operation" }, find: "Cohort or id ( / )", findLabel: "Find a cohort or a customer",
  menu: "Menu", theme: "Dark or light", account: (role: string) => `${role}: account`, signOut: "Sign out", keys: "Keys", letters: (on: boolean) => (on ? "Switch single letters off" : "Switch single letters on"), notFound: "This page does not exist", toCohorts: "To the cohorts", main: "Main",
  customer: (id: string) => `Customer “${id}”`, keyList: [
    ["/", "find"], ["n", "new cohort"], ["Ctrl Enter", "Run"], ["Ctrl S", "Save"], ["Ctrl Z, Ctrl Shift Z", "undo, redo"], ["?", "this list"], ["d", "on “…”: duplicate"], ["g", "on “…”: put in a group"], ["o", "on “…”: turn into its opposite"],
    ["l", "on “…”: leave out for now"], ["Del", "on “…”: remove"], ["Alt ↑, Alt ↓", "on “…”: move"], ["Arrows, Enter, Esc", "in a list of values"], ["Backspace", "in an empty field: remove the last value"],
  ] as const, keysTitle: "Keys", lettersOff: "Single-letter keys work only outside input fields.",
};

const states: Record<string, string> = {
  active: "In step", queued: "Waits its turn", running: "Sending", waiting: "Waits for the destination", paused: "Paused", held: "Held", needs_attention: "Stopped", quarantined: "Stopped", disarmed: "Disarmed",
};

export const charts = {
  noHistory: "no history", today: "today", spark: (first: string, last: string) => `From ${first} to ${last}`,
  sizes: (n: number, first: string, last: string) => `Size at ${n} times, from ${first} to ${last}. The numbers are below.`,
};

export const cohorts = {
  title: "Cohorts", over: (n: string) => ` over ${n}.`, fromTemplate: "From a template", newCohort: "New cohort", wait: (n: number) => (n === 1 ? "One sync waits for you" : `${count(n)} syncs wait for you`), states, decide: "Decide",
  emptyTitle: "A cohort is a saved rule", emptyText: "Describe what its customers did or are, see the number of customers at once, and save the rule under a name.",
  search: "Search names and definitions", filters: { all: "All", mine: "Mine", synced: "Synced", waiting: "Waiting" }, noneFound: (search: string) => (search ? `No cohort contains “${search}”` : "No cohorts"), showAll: (n: string) => `Show all ${n}`,
  name: "Name", size: "Size", week: "7 days", history: "90 days", owner: "Owner", syncs: "Syncs", changed: "Changed", list: "a list of customers", query: "what a query returns", ofAll: (n: string, all: string) => `${n} of ${all}`,
  press: "Press", toSearch: "to search,", forNew: "for a new cohort", templateHelp: "The event types and properties are examples of a shop. Change them to your own in the builder.", searchTemplates: "Search templates",
};

export const cohort = {
  cohorts: "Cohorts", more: "More", owned: (owner: string, since: string, version: number, changed: string) => `Owned by ${owner} since ${since}. Version ${version}, saved ${changed}.`, edit: "Edit", look: "Look at the rule", sync: "Sync",
  refresh: "Count and keep now", refreshed: (size: string, entered: string, left: string) => `${size}: ${entered} entered, ${left} left.`, rename: "Rename", drop: "Drop", inWords: "In words", json: "JSON", sql: "SQL", isList: "An imported list of customers.", isQuery: "The members that a query returns.",
  aside: "Size, reasons and syncs", size: "Size", share: (part: string, whole: string) => `${part} of ${whole}`, since: (when: string) => `since ${when}`, exact: (time: string) => `exact, now, in ${time}`, syncs: "Syncs", noSync: "It is not synced yet.", usedBy: "Cohorts that use it",
  over: "Size over time", span: "Span", days30: "30 days", days90: "90 days", year: "1 year", noHistory: "No size recorded yet", noHistoryText: "Each recorded size is a point of this chart. Each run of a sync records one, too.", sizeWord: "size", entered: "entered", left: "left", numbers: "The numbers", when: "When",
  members: "Members", searchMembers: "Id, or a value of the profile", download: "Download CSV", noDownload: "The download was interrupted. No file was saved; try again.", page: (n: number) => `Page ${n}`, previous: "Previous", next: "Next", nobody: "Nobody is in it", nobodyFound: (search: string) => `No member has “${search}”`, customer: "Customer", profile: "Profile", noProfile: "no profile",
  versions: "Versions", fewer: "Fewer", allVersions: (n: number) => `All ${n}`, version: (n: number) => `Version ${n}`, firstVersion: "The first.", otherChange: "Name, zone or how the conditions combine.", restore: "Make this the rule again", restored: (n: number) => `Version ${n} is the rule again.`,
  name: "Name", cohortNamed: (name: string) => `the cohort “${name}”`, syncTo: (name: string) => `the sync to ${name}`, dropped: (name: string) => `Dropped “${name}”.`, cannotDrop: (name: string) => `Cannot drop “${name}”`, dropTitle: (name: string) => `Drop “${name}”?`,
  usedFirst: (used: string[]) => `It is used by ${used.join(", ")}. Change or drop these first.`, dropText: (versions: number) => `Its definition, ${plural(versions, "version")} and its history are deleted. The customers and their events are kept.`, keep: "Keep it", dropIt: "Drop it",
};

export const why = { title: "Why is this customer (not) in?", customerId: "Customer id", ask: "Ask", in: "In.", notIn: "Not in.", holds: "holds: ", fails: "does not hold: ", things: (n: number) => `${count(n)} of them` };

export const overlap = {
  title: "Overlap", another: "Add a cohort", choose: "Choose a cohort to see how many of the members are in both.", legend: (n: string) => `The full width is this cohort’s ${n} members. Each column is a group of members; its filled cells are the cohorts that contain them:`,
  cell: (n: string, others: string[]) => (others.length === 0 ? `${n} in none of these` : `${n} in ${others.map(each => `“${each}”`).join(" and ")}`), without: (name: string) => `Without “${name}”`,
};

export const sync = {
  title: "Syncs", lead: "Each sync keeps an audience at a destination equal to a cohort. Only differences are sent.", cohorts: "Cohorts", noneTitle: "Nothing is synced yet", noneText: "Open a cohort and press Sync.", toCohorts: "To the cohorts", states,
  hourly: "Hourly", daily: "Daily", weekly: "Weekly", monthly: "Monthly", every: "Every…", cron: "Cron", howOften: "How often", at: "At", interval: "Every", fields: "Five fields", zone: "Time zone",
  inWords: ({ frequency = "", at, timezone = "UTC" }: Record<string, string>) => `${({ hourly: "Every hour", daily: "Every day", weekly: "Every week", monthly: "Every month" } as Record<string, string>)[frequency] ?? (frequency.startsWith("every") ? `E${frequency.slice(1)}` : `Cron ${frequency}`)}${at ? ` at ${at}` : ""}, ${timezone} time.`,
  frequencies: { hourly: "Every hour", daily: "Daily", weekly: "Weekly", monthly: "Monthly" } as Record<string, string>, atTime: (time: string, zone: string) => ` at ${time.slice(0, 5)}, ${zone}.`,
  newTitle: "New sync", newLead: (members: string) => `Keeps an audience at a destination equal to this cohort’s ${members}. Only differences are sent.`, chooseFirst: "Choose a destination.", saved: "Saved. The first run starts at its scheduled time; Send now starts one at once.",
  noDestination: "There is no destination yet", noDestinationText: "A destination is an account or an address that receives members.", newDestination: "New destination", destination: "Destination", already: (schedule: string) => `Already synced. ${schedule}`, changeThat: "Change that sync",
  kinds: { facebook_ads: "Facebook Custom Audience", meta_pixel: "Meta pixel event", webhook: "Webhook", s3: "Files in S3", table: "Table in this database" } as Record<string, string>,
  guard: "A run waits for your decision if it would remove more than 30 % and more than 1,000 people, or everyone.", nothingUntil: "Nothing is sent until you save.", saveSync: "Save sync", firstRun: "What the first run will do", nextRun: "What the next run will do", sendsNothing: "sends nothing",
  add: "Add", remove: "Remove", unchanged: "Unchanged", skipped: "Skipped", reached: (part: string, whole: string) => `${part} of ${whole} can be sent`, skippedBecause: "Skipped because", people: "People", reasons: { missing_identifier: "No e-mail, no phone, no other identifier", suppressed: "Member of a suppressed cohort" } as Record<string, string>,
  wouldBeHeld: "This run would wait for your decision.", toDestination: (name: string) => `Sync to ${name}`, next: (when: string) => `Next run: ${when}.`, there: (n: string) => `${n} there.`, preview: "Preview", changeSchedule: "Change schedule", pause: "Pause", resume: "Go on", sendNow: "Send now", runs: "Runs", decide: "Decide",
  done: { now: "A run starts.", pause: "Paused.", resume: "Resumed.", resync: "The next run sends everyone again." }, heldTitle: (n: string, of: string) => `Held: remove ${n} of ${of} people?`, since: (when: string) => `since ${when}`, choose: "Nothing was sent. Choose one.", keepThem: "Keep them, pause the sync", removeThem: (n: string) => `Remove ${n} and go on`,
  thereNow: "There now", afterRun: "After the run", removed: "Removed", limit: (part: string) => `A run is held if it would remove more than 30 % and more than 1,000 people, or everyone; this one would remove ${part}.`, seeVersions: "See what changed in the cohort", state: "State", leaving: "Leaving", failures: "Failed runs in a row", rejected: "Refused by the destination", customer: "Customer", reason: "Reason", when: "When",
  noRun: "No run yet", started: "Started", end: "End", added: "Added", refused: "Refused", took: "Took", runStates: { success: "Done", partial: "Partly", failed: "Failed", cancelled: "Cancelled", crashed: "Crashed", held: "Held", queued: "Queued", running: "Sending", waiting: "Waits" } as Record<string, string>,
  resync: "Send everyone again", drop: "Drop this sync", dropped: "The sync is dropped.", dropTitle: "Drop this sync?", dropText: (n: string) => `The ${n} people stay at the destination. Nothing more is sent.`, keepIt: "Keep it",
};

export const because = {
  title: "Probably because", version: (n: number, who: string, when: string) => `Version ${n}, ${who}, ${when}:`, list: (before: string, now: string) => `${before} ids in the list became ${now}.`, alone: (n: string) => `This change alone removes ${n}.`,
  silent: (type: string, since: string) => `No “${type}” has arrived since ${since}.`, unchanged: "The rule is unchanged. Members left because time passed or their data changed.",
};

export const destination = {
  title: "Destinations", lead: "Accounts and addresses that receive members.", new: "New destination", noneTitle: "No destination yet", noneText: "A destination is a Facebook ad account, a pixel, a webhook, a bucket or a table. An operator creates it.", name: "Name", kind: "Kind", owner: "Owner", secret: "Secret", syncs: "Syncs", form: "Destination",
  fields: { ad_account_id: "Ad account", audience_name: "Name of the audience", audience_id: "Id of the audience", pixel_id: "Pixel", event_name: "Event", url: "Address", endpoint: "Endpoint", bucket: "Bucket", prefix: "Prefix", region: "Region", table: "Table with its schema", customer_column: "Column of the customer’s id" } as Record<string, string>,
  help: { ad_account_id: "The number in Ads Manager’s list of accounts.", audience_name: "Created if no audience has this name.", audience_id: "The id of an existing audience, instead of a name.", url: "HTTPS, on a host that the database allows." } as Record<string, string>,
  secretHelp: "Where the secret is kept on the server, such as file:fb-main. Never the secret itself.", more: "More settings", moreHelp: "As JSON, such as {\"batch_rows\": 500}.", noJson: "“More settings” is not valid JSON.", saved: (name: string) => `Saved “${name}”.`, dropped: "The destination is dropped.", owned: (owner: string) => `Owned by ${owner}.`, drop: "Drop it", keep: "Keep it",
  dropTitle: (name: string) => `Drop “${name}”?`, dropText: "Members that were sent stay at the destination.", test: "Does it work?", testNow: "Test", testing: "Testing …", testHelp: "Test checks the secret and the address, and sends a request without members.", works: "It works.", worksNot: "It does not work yet.",
};

export const customer = {
  title: "Customers", lead: "Find one by the beginning of an id.", search: "Customer id", open: "Open", nobody: (id: string) => `Nobody has the id “${id}”`, nobodyText: "Ids are case-sensitive.", noneYet: "No customer has a profile yet", knownByEvents: "To open a customer without a profile, enter the complete id.", id: "Id", profile: "Profile", changed: "Changed", noName: "no name",
  last: (when: string) => `Last event ${when}.`, noEvent: "No event.", copyId: "Copy id", changedOn: (when: string) => `changed ${when}`, noProfile: "No profile.", cohorts: "Cohorts", inCohorts: (n: number) => `In ${plural(n, "cohort")}`, inNone: "In none.", show: "Show", showKey: (key: string) => `Show ${key}`, events: "Events", all: "All",
  entered: "entered", left: "left", shownEvents: (n: string) => `${n}, newest first`, older: "Older", today: "Today", yesterday: "Yesterday", whole: "all of it", less: "less", why: "Why (not) in?", cohort: "Cohort", ask: "Ask", forget: "Erase this person", forgetTitle: (id: string) => `Erase ${id}?`,
  forgetText: "Events, profile and stored memberships are deleted, and the person is removed from every destination. This cannot be undone.", typeId: "Type the id to erase it", keep: "Keep", forgotten: (events: string, syncs: string) => `Erased: ${events}. ${syncs} will remove the person.`,
};

export const events = {
  title: "Events", span: "Span", days7: "7 days", days14: "14 days", days31: "31 days", today: (n: string, types: string) => `${n} today, ${types}.`, arrives: "Data arrives", silent: "Nothing arrived today", last: (when: string) => `the last event ${when}.`, types: "Types", scale: "each chart has its own scale; days in UTC",
  noneTitle: "No event has arrived", noneText: "Programs send events to the API with a key. This command sends the first event:", bars: (type: string, days: string) => `${type} per day: ${days}`, by: (n: string) => `by ${n}`, like: (other: string) => `Did you mean ${other}? Types are case-sensitive.`,
  latest: "Latest", stop: "Stop the list", goOn: "Go on", at: "At", type: "Type", customer: "Customer", data: "Data", propertiesOf: (type: string) => `Properties of ${type}`, findProperty: "Find a property", ofEvents: (n: string) => `of ${n} events`, noProperty: "No property", property: "Property", in: "In", different: "Different", example: "For example",
};

export const operation = {
  title: "Operation", version: (version: string) => `kursaha_cohort ${version}`, lookAgain: "Look again", seal: "Seal now", sealed: (n: string, time: string) => `Sealed ${n} events in ${time}.`, well: "Nothing needs attention.", index: "Index", workers: "Workers", noWorkers: "No worker runs now", progress: "Under way", captures: "Captured tables", retention: "Retention", notYours: "Your role may not read this.",
  columns: { tail: "events not sealed", removals: "changes not sealed", sealed_at: "sealed", held_back_by: "held back by", dead: "dead events", last_error: "last error", error_since: "error since" } as Record<string, string>, keys: "Keys of programs", newKey: "New key", noKeys: "No key yet", keysText: "A program that sends events needs a key. It acts as the role you choose.",
  label: "Label", labelHelp: "What the key is for.", role: "Role", roleHelp: "The key may do what this role may.", used: "Last used", expires: "Expires", never: "never", unusable: "not usable", revoke: "Revoke", revokeKey: (label: string) => `Revoke ${label}`, revokeTitle: (label: string) => `Revoke “${label}”?`, revokeText: "Requests of programs that use it are refused from then on.", keep: "Keep it",
  make: "Make the key", shownOnce: "Copy it now. It is shown only once.",
};
