// One cohort: what it says, how it grew, who is in it, with which others it overlaps, and where it goes.
import { useEffect, useState } from "preact/hooks";
import { ask, cohortPath, get, part, post, Refusal, type Cohort, type Customer, type List, type Refresh, type Sync, type Version } from "../api";
import { profileLine } from "../builder/result";
import { changesOf } from "../builder/merge";
import { Words } from "../builder/words";
import { universe } from "../everybody";
import { SizeChart } from "../parts/charts";
import { Overlap } from "../parts/overlap";
import { SyncCard } from "../parts/sync-card";
import { WhyForm } from "../parts/why";
import { Await, Choice, CopyButton, Dialog, Empty, Failure, Menu, Meter, Panel } from "../parts/parts";
import { Icon } from "../parts/icons";
import { go, Link, path } from "../router";
import { pretty } from "../rule/json";
import { conditionInWords, ruleInWords } from "../rule/words";
import { useLoad, useShared, useTitle } from "../state";
import { change, cohort as t, common, count, day, moment, plural, share, took } from "../texts";

interface Now { count: number; universe: number | null; ms: number }

export function CohortPage({ name }: { name: string }) {
  useTitle(name);
  const loaded = useLoad(`cohort ${name}`, signal => get<Cohort>(cohortPath(name), signal));
  return <Await of={loaded} title={name}>{cohort => <Whole cohort={cohort} reload={loaded.reload} />}</Await>;
}

function Whole({ cohort, reload }: { cohort: Cohort; reload: () => void }) {
  const { name } = cohort;
  const { say } = useShared();
  const [dialog, setDialog] = useState<"rename" | "drop" | null>(null);
  const [shown, setShown] = useState<"json" | "sql" | null>(null);
  const now = useLoad<Now>(`count ${name} ${cohort.version}`, async signal => {
    const start = performance.now();
    const { count: size } = await get<{ count: number }>(cohortPath(name, "/count"), signal);
    const ms = performance.now() - start;
    return { count: size, ms, universe: await universe(signal).catch(() => null) };
  });
  const syncs = useLoad(`syncs ${name}`, signal => get<List<Sync>>(`/v1/syncs?cohort=${part(name)}`, signal).catch(() => ({ items: [] as Sync[] })));
  const week = Date.now() - 7 * 86_400_000;
  const before = cohort.history.filter(each => Date.parse(each.at) <= week).at(-1) ?? cohort.history[0];
  const refresh = () => {
    post<{ size: number; entered: number; exited: number }>(cohortPath(name, "/refresh")).then(done => { say({ text: t.refreshed(plural(done.size, "customer"), count(done.entered), count(done.exited)) }); reload(); }, (failed: Error) => say({ text: failed.message }));
  };
  return (
    <>
      <div class="page-head">
        <div>
          <p class="crumb"><Link to="/">{t.cohorts}</Link></p>
          <h1><bdi>{name}</bdi></h1>
          <p>{t.owned(cohort.owner, day(cohort.created_at), cohort.version, day(cohort.updated_at))}{cohort.description ? ` ${cohort.description}` : ""}</p>
        </div>
        <div class="row">
          <Menu label={t.more} class="button square" button={<Icon name="more" />} items={[
            { text: t.refresh, act: refresh }, { text: t.rename, act: () => setDialog("rename") }, { text: t.drop, act: () => setDialog("drop") },
          ]} />
          <Link class="button" to={path("cohorts", name, "edit")}>{cohort.editable ? t.edit : t.look}</Link>
          <Link class="button primary" to={path("cohorts", name, "sync")}>{t.sync}</Link>
        </div>
      </div>
      <div class="grid flat">
        <div class="wide column">
          <Panel title={t.inWords} class="first" end={<span class="row"><button class="linkish" type="button" aria-expanded={shown === "json"} onClick={() => setShown(shown === "json" ? null : "json")}>{t.json}</button><button class="linkish" type="button" aria-expanded={shown === "sql"} onClick={() => setShown(shown === "sql" ? null : "sql")}>{t.sql}</button></span>}>
            <p class="words">{cohort.kind === "list" ? t.isList : cohort.kind === "query" ? t.isQuery : <Words pieces={ruleInWords(cohort.rule)} />}</p>
            {shown === "json" && <><pre class="code" tabIndex={0}>{pretty(cohort.rule, 84)}</pre><CopyButton text={pretty(cohort.rule)} /></>}
            {shown === "sql" && <Sql name={name} />}
          </Panel>
          <History name={name} version={cohort.version} onRefresh={refresh} />
          <Overlap name={name} />
          <Members name={name} />
        </div>
        <aside class="side column" aria-label={t.aside}>
          <section class="panel first" aria-label={t.size}><div class="body">
            <Await of={now}>{data => (
              <>
                <p class="baseline"><span class="figure">{count(data.count)}</span>{data.universe !== null && <span class="quiet">{t.share(share(data.count, data.universe), count(data.universe))}</span>}</p>
                <Meter part={data.count} whole={data.universe ?? 0} />
                <p class="small quiet">{before && <><span class={data.count < before.size ? "down" : "up"}>{change(data.count - before.size)}</span> {t.since(day(before.at))} · </>}{t.exact(took(data.ms))}</p>
              </>
            )}</Await>
          </div></section>
          <WhyForm cohort={name} rule={cohort.rule} />
          <Panel title={t.syncs} flush end={<Link class="button" to={path("cohorts", name, "sync")}><Icon name="plus" />{t.sync}</Link>}>
            <Await of={syncs}>{data => (data.items.length === 0 ? <div class="body"><p class="quiet">{t.noSync}</p></div> : <ul class="lines">{data.items.map(sync => <SyncCard key={sync.destination} sync={sync} onChange={syncs.reload} />)}</ul>)}</Await>
          </Panel>
          {cohort.used_by.length > 0 && <Panel title={t.usedBy}><ul class="stack tight">{cohort.used_by.map(each => <li key={each}><Link to={path("cohorts", each)}><bdi>{each}</bdi></Link></li>)}</ul></Panel>}
          <Versions cohort={cohort} onRestore={reload} />
        </aside>
      </div>
      {dialog === "rename" && <Rename cohort={cohort} onClose={() => setDialog(null)} />}
      {dialog === "drop" && <Drop cohort={cohort} onClose={() => setDialog(null)} />}
    </>
  );
}

function Sql({ name }: { name: string }) {
  const loaded = useLoad(`sql ${name}`, signal => get<{ sql: string }>(cohortPath(name, "/sql"), signal));
  return <Await of={loaded}>{({ sql }) => <><pre class="code" tabIndex={0}>{sql}</pre><CopyButton text={sql} /></>}</Await>;
}

const SPANS = [["30", t.days30], ["90", t.days90], ["365", t.year]] as const;

function History({ name, version, onRefresh }: { name: string; version: number; onRefresh: () => void }) {
  const [days, setDays] = useState<"30" | "90" | "365">("90");
  const history = useLoad(`history ${name} ${version}`, signal => get<List<Refresh>>(cohortPath(name, "/history?limit=1000"), signal));
  return (
    <Panel title={t.over} end={<Choice label={t.span} value={days} options={SPANS} onChange={setDays} />}>
      <Await of={history}>{data => {
        const from = Date.now() - Number(days) * 86_400_000;
        const spans = data.items.filter(each => Date.parse(each.refreshed_at) >= from).reverse().map(each => ({ at: each.refreshed_at, size: each.size, entered: each.entered, exited: each.exited, version: each.version }));
        if (spans.length === 0) return <Empty title={t.noHistory} actions={<button class="button" type="button" onClick={onRefresh}>{t.refresh}</button>}><p>{t.noHistoryText}</p></Empty>;
        return (
          <>
            <SizeChart spans={spans} />
            <p class="small quiet legend"><span><i class="line" />{t.sizeWord}</span><span><i />{t.entered}</span><span><i class="out" />{t.left}</span></p>
            <details><summary class="small">{t.numbers}</summary><div class="scroll" tabIndex={0}><table class="tight"><thead><tr><th scope="col">{t.when}</th><th scope="col" class="num">{t.sizeWord}</th><th scope="col" class="num">{t.entered}</th><th scope="col" class="num">{t.left}</th></tr></thead>
              <tbody>{spans.slice(-30).reverse().map(each => <tr key={each.at}><th scope="row">{moment(each.at)}</th><td class="num">{count(each.size)}</td><td class="num">{count(each.entered)}</td><td class="num">{count(each.exited)}</td></tr>)}</tbody></table></div></details>
          </>
        );
      }}</Await>
    </Panel>
  );
}

const PAGE = 12;

function Members({ name }: { name: string }) {
  const [search, setSearch] = useState("");
  const [asked, setAsked] = useState("");
  const [pages, setPages] = useState<string[]>([]);
  useEffect(() => {
    const timer = setTimeout(() => { setAsked(search.trim()); setPages([]); }, 250);
    return () => clearTimeout(timer);
  }, [search]);
  const after = pages.at(-1);
  const members = useLoad(`members ${name} ${asked} ${after ?? ""}`, signal => get<List<Customer>>(cohortPath(name, `/members?limit=${PAGE}${asked ? `&search=${part(asked)}` : ""}${after ? `&after=${part(after)}` : ""}`), signal));
  const { say } = useShared();
  const download = async () => {
    const response = await fetch(cohortPath(name, "/members"), { headers: { Accept: "text/csv" } });
    if (!response.ok) throw new Error(t.noDownload);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = `${name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };
  return (
    <Panel title={t.members} flush end={<span class="row"><input class="input search" type="search" aria-label={t.searchMembers} placeholder={t.searchMembers} value={search} onInput={event => setSearch(event.currentTarget.value)} /><button class="button" type="button" onClick={() => void download().catch(() => say({ text: t.noDownload }))}>{t.download}</button></span>}
      foot={members.data && <><span>{t.page(pages.length + 1)}</span><span class="row">{pages.length > 0 && <button class="button" type="button" onClick={() => setPages(pages.slice(0, -1))}>{t.previous}</button>}{members.data.next && <button class="button" type="button" onClick={() => setPages([...pages, members.data?.next ?? ""])}>{t.next}</button>}</span></>}>
      <Await of={members}>{data => (data.items.length === 0 ? <Empty title={asked ? t.nobodyFound(asked) : t.nobody} /> : (
        <table><thead><tr><th scope="col">{t.customer}</th><th scope="col">{t.profile}</th></tr></thead><tbody>{data.items.map(each => (
          <tr key={each.customer_id}><th scope="row"><Link class="mono" to={path("customers", each.customer_id)}>{each.customer_id}</Link></th><td class="quiet"><bdi>{profileLine(each.profile) || t.noProfile}</bdi></td></tr>
        ))}</tbody></table>
      ))}</Await>
    </Panel>
  );
}

function Versions({ cohort, onRestore }: { cohort: Cohort; onRestore: () => void }) {
  const { say } = useShared();
  const [all, setAll] = useState(false);
  const versions = useLoad(`versions ${cohort.name} ${cohort.version}`, signal => get<List<Version>>(cohortPath(cohort.name, "/versions"), signal));
  const restore = (version: Version) => {
    ask("PUT", cohortPath(cohort.name), { body: { rule: version.rule } }).then(() => { say({ text: t.restored(version.version) }); onRestore(); }, (failed: Error) => say({ text: failed.message }));
  };
  return (
    <Panel title={t.versions} flush end={versions.data && versions.data.items.length > 3 && <button class="linkish" type="button" onClick={() => setAll(!all)}>{all ? t.fewer : t.allVersions(versions.data.items.length)}</button>}>
      <Await of={versions}>{data => <ol class="lines">{data.items.slice(0, all ? undefined : 3).map((version, i) => {
        const before = data.items[i + 1];
        const changes = before && changesOf(before.rule, version.rule);
        return (
          <li key={version.version}>
            <div class="spread"><h3>{t.version(version.version)}</h3><span class="small quiet">{moment(version.changed_at)} · <bdi>{version.changed_by}</bdi></span></div>
            {!changes ? <p class="small quiet">{t.firstVersion}</p> : changes.added.length + changes.removed.length === 0 ? <p class="small quiet">{t.otherChange}</p> : (
              <ul class="small stack tight">{changes.removed.map((each, k) => <li key={`r${k}`}><del><Words pieces={conditionInWords(each)} /></del></li>)}{changes.added.map((each, k) => <li key={`a${k}`}><ins><Words pieces={conditionInWords(each)} /></ins></li>)}</ul>
            )}
            {i > 0 && cohort.editable && version.rule !== null && <div><button class="linkish" type="button" onClick={() => restore(version)}>{t.restore}</button></div>}
          </li>
        );
      })}</ol>}</Await>
    </Panel>
  );
}

function Rename({ cohort, onClose }: { cohort: Cohort; onClose: () => void }) {
  const [name, setName] = useState(cohort.name);
  const [error, setError] = useState<Refusal | null>(null);
  const save = () => ask("PATCH", cohortPath(cohort.name), { body: { name: name.trim() } }).then(() => { onClose(); go(path("cohorts", name.trim()), true); }, (failed: Refusal) => setError(failed));
  return (
    <Dialog title={t.rename} onClose={onClose} foot={<><button class="button" type="button" onClick={onClose}>{common.cancel}</button><button class="button primary" type="button" onClick={() => void save()}>{t.rename}</button></>}>
      {error && <Failure error={error} />}
      <input class="input" aria-label={t.name} value={name} maxLength={255} onInput={event => setName(event.currentTarget.value)} />
    </Dialog>
  );
}

function Drop({ cohort, onClose }: { cohort: Cohort; onClose: () => void }) {
  const { say } = useShared();
  const [error, setError] = useState<Refusal | null>(null);
  const used = [...cohort.used_by.map(each => t.cohortNamed(each)), ...cohort.syncs.map(each => t.syncTo(each.destination))];
  const drop = () => ask("DELETE", cohortPath(cohort.name)).then(() => { onClose(); say({ text: t.dropped(cohort.name) }); go("/"); }, (failed: Refusal) => setError(failed));
  return (
    <Dialog title={used.length > 0 ? t.cannotDrop(cohort.name) : t.dropTitle(cohort.name)} onClose={onClose} foot={
      <><button class="button" type="button" autofocus onClick={onClose}>{t.keep}</button>{used.length === 0 && <button class="button danger" type="button" onClick={() => void drop()}>{t.dropIt}</button>}</>
    }>
      {error && <Failure error={error} />}
      <p>{used.length > 0 ? t.usedFirst(used) : t.dropText(cohort.version)}</p>
    </Dialog>
  );
}
