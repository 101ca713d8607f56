// The list of cohorts, and what waits for somebody.
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, type Cohort, type List, type Sync } from "../api";
import { universe } from "../everybody";
import { Spark } from "../parts/charts";
import { Icon } from "../parts/icons";
import { Await, Dialog, Empty, Panel, State } from "../parts/parts";
import { syncTone } from "../parts/sync-state";
import { go, Link, path } from "../router";
import { ruleInWords, plain } from "../rule/words";
import { useLoad, useShared, useTitle } from "../state";
import { templates } from "../templates";
import { change, cohorts as t, common, count, day, plural, share } from "../texts";

type Filter = "all" | "mine" | "synced" | "waiting";
type Order = "name" | "size" | "change" | "changed";
const WAITING = ["held", "needs_attention", "quarantined", "disarmed"];

interface Everything { cohorts: Cohort[]; syncs: Sync[]; universe: number | null }

async function load(signal: AbortSignal): Promise<Everything> {
  const [first, syncs] = await Promise.all([get<List<Cohort>>("/v1/cohorts?limit=1000", signal), get<List<Sync>>("/v1/syncs", signal).catch(() => ({ items: [] }))]);
  return { cohorts: first.items, syncs: syncs.items, universe: null };
}

/** Sizes are counted after the list stands, so that the list does not wait for them. */
function useSizes(ready: boolean): { sizes: Map<string, number>; universe: number | null; at: Date | null } {
  const [state, setState] = useState<{ sizes: Map<string, number>; universe: number | null; at: Date | null }>({ sizes: new Map(), universe: null, at: null });
  useEffect(() => {
    if (!ready) return undefined;
    const abort = new AbortController();
    const work = async () => {
      const everybody = await universe(abort.signal).catch(() => null);
      setState(before => ({ ...before, universe: everybody }));
      let after: string | null | undefined;
      do {
        const list: List<Cohort> = await get<List<Cohort>>(`/v1/cohorts?now=true&limit=50${after ? `&after=${encodeURIComponent(after)}` : ""}`, abort.signal);
        setState(before => ({ ...before, sizes: new Map([...before.sizes, ...list.items.flatMap(each => (each.size_now === null ? [] : [[each.name, each.size_now] as const]))]), at: new Date() }));
        after = list.next;
      } while (after);
    };
    work().catch(() => undefined);
    return () => abort.abort();
  }, [ready]);
  return state;
}

export function CohortsPage() {
  useTitle(t.title);
  const { session } = useShared();
  const all = useLoad("cohorts", load);
  const now = useSizes(all.data !== undefined);
  const [search, setSearch] = useState("");
  const [filter, setFilter] = useState<Filter>("all");
  const [order, setOrder] = useState<Order>("changed");
  const [choosing, setChoosing] = useState(false);
  const words = useMemo(() => new Map(all.data?.cohorts.map(each => [each.name, describe(each)])), [all.data]);
  const size = (cohort: Cohort) => now.sizes.get(cohort.name) ?? cohort.size;
  const delta = (cohort: Cohort) => {
    const current = size(cohort), week = Date.now() - 7 * 86_400_000;
    const before = cohort.history.filter(each => Date.parse(each.at) <= week).at(-1) ?? cohort.history[0];
    return current === null || !before ? null : current - before.size;
  };
  const passes: Record<Filter, (cohort: Cohort) => boolean> = {
    all: () => true, mine: cohort => cohort.owner === session.role, synced: cohort => cohort.syncs.length > 0, waiting: cohort => cohort.syncs.some(sync => WAITING.includes(sync.state)),
  };
  const low = search.trim().toLowerCase();
  const keys: Record<Order, (a: Cohort, b: Cohort) => number> = {
    name: (a, b) => a.name.localeCompare(b.name), size: (a, b) => (size(b) ?? 0) - (size(a) ?? 0), change: (a, b) => Math.abs(delta(b) ?? 0) - Math.abs(delta(a) ?? 0), changed: (a, b) => Date.parse(b.updated_at) - Date.parse(a.updated_at),
  };
  const head = (key: Order, text: string, name = "") => <th scope="col" class={name} aria-sort={order === key ? (key === "name" ? "ascending" : "descending") : undefined}><button type="button" onClick={() => setOrder(key)}>{text}{order === key ? (key === "name" ? " ↑" : " ↓") : ""}</button></th>;
  return (
    <>
      <div class="page-head">
        <div><h1>{t.title}</h1>{all.data && <p>{plural(all.data.cohorts.length, "cohort")}{now.universe !== null && t.over(plural(now.universe, "customer"))}</p>}</div>
        <div class="row">
          <button class="button" type="button" onClick={() => setChoosing(true)}>{t.fromTemplate}<Icon name="down" /></button>
          <Link class="button primary" to="/cohorts/new"><Icon name="plus" />{t.newCohort}</Link>
        </div>
      </div>
      <Await of={all}>{data => {
        const waiting = data.syncs.filter(sync => WAITING.includes(sync.state));
        const found = data.cohorts.filter(cohort => passes[filter](cohort) && (low === "" || cohort.name.toLowerCase().includes(low) || (words.get(cohort.name) ?? "").toLowerCase().includes(low))).sort(keys[order]);
        return (
          <div class="column">
            {waiting.length > 0 && (
              <Panel title={t.wait(waiting.length)} flush><ul class="waiting">{waiting.map(sync => (
                <li key={sync.sync_id as number}>
                  <State tone={syncTone(sync.state)}>{t.states[sync.state] ?? sync.state}</State>
                  <div><Link to={path("syncs", sync.cohort, sync.destination)}><b><bdi>{sync.cohort}</bdi> → <bdi>{sync.destination}</bdi></b></Link><div class="small quiet">{sync.why as string | null}</div></div>
                  <Link class="button" to={path("syncs", sync.cohort, sync.destination)}>{t.decide}</Link>
                </li>
              ))}</ul></Panel>
            )}
            {data.cohorts.length === 0 ? (
              <section class="panel"><Empty title={t.emptyTitle} actions={<><Link class="button primary" to="/cohorts/new"><Icon name="plus" />{t.newCohort}</Link><button class="button" type="button" onClick={() => setChoosing(true)}>{t.fromTemplate}</button></>}><p>{t.emptyText}</p></Empty></section>
            ) : (
              <section class="panel" aria-label={t.title}>
                <header>
                  <div class="row">
                    <input class="input search" type="search" aria-label={t.search} placeholder={t.search} value={search} onInput={event => setSearch(event.currentTarget.value)} />
                    {(["all", "mine", "synced", "waiting"] as const).map(each => <button key={each} type="button" class="chip" aria-pressed={filter === each} onClick={() => setFilter(each)}>{t.filters[each]} <span class="n">{count(data.cohorts.filter(passes[each]).length)}</span></button>)}
                  </div>
                </header>
                {found.length === 0 ? <Empty title={t.noneFound(search)} actions={<button class="button" type="button" onClick={() => { setSearch(""); setFilter("all"); }}>{t.showAll(count(data.cohorts.length))}</button>} /> : (
                  <table class="cards cohorts">
                    <thead><tr>{head("name", t.name)}{head("size", t.size, "num")}{head("change", t.week, "num")}<th scope="col">{t.history}</th><th scope="col">{t.owner}</th><th scope="col">{t.syncs}</th>{head("changed", t.changed, "num")}</tr></thead>
                    <tbody>{found.map(cohort => {
                      const current = size(cohort), by = delta(cohort);
                      return (
                        <tr key={cohort.name}>
                          <th scope="row" class="name-cell"><Link to={path("cohorts", cohort.name)}><bdi>{cohort.name}</bdi></Link><div class="clip" title={words.get(cohort.name)}>{words.get(cohort.name)}</div></th>
                          <td class="num"><b class={now.sizes.has(cohort.name) ? "" : "old"}>{current === null ? "–" : count(current)}</b><div class="small quiet">{current !== null && now.universe !== null ? share(current, now.universe) : ""}</div></td>
                          <td class={`num ${by === null || by === 0 ? "quiet" : by > 0 ? "up" : "down"}`}>{by === null ? "–" : change(by)}</td>
                          <td class="hide-narrow"><Spark history={cohort.history} /></td>
                          <td class="hide-narrow"><bdi>{cohort.owner}</bdi></td>
                          <td><ul>{cohort.syncs.length === 0 ? <li class="quiet small">{common.none}</li> : cohort.syncs.map(sync => <li key={sync.destination}><State tone={syncTone(sync.state)}><bdi>{sync.destination}</bdi>{WAITING.includes(sync.state) || sync.state === "paused" ? ` ${t.states[sync.state] ?? sync.state}` : ""}</State></li>)}</ul></td>
                          <td class="num quiet hide-narrow">{day(cohort.updated_at)}</td>
                        </tr>
                      );
                    })}</tbody>
                  </table>
                )}
                <footer><span>{t.ofAll(count(found.length), count(data.cohorts.length))}</span><span class="hide-narrow">{t.press} <kbd>/</kbd> {t.toSearch} <kbd>n</kbd> {t.forNew}</span></footer>
              </section>
            )}
          </div>
        );
      }}</Await>
      {choosing && <Templates onClose={() => setChoosing(false)} />}
    </>
  );
}

function describe(cohort: Cohort): string {
  if (cohort.description) return cohort.description;
  return cohort.kind === "list" ? t.list : cohort.kind === "query" ? t.query : plain(ruleInWords(cohort.rule)).replace(/^Customers (who )?/, "").replace(/\.$/, "");
}

function Templates({ onClose }: { onClose: () => void }) {
  const [search, setSearch] = useState("");
  const low = search.toLowerCase();
  const found = templates.map((each, i) => ({ ...each, i })).filter(each => `${each.section} ${each.title}`.toLowerCase().includes(low));
  const sections = [...new Set(found.map(each => each.section))];
  return (
    <Dialog broad title={t.fromTemplate} onClose={onClose} foot={<button class="button" type="button" onClick={onClose}>{common.cancel}</button>}>
      <p class="quiet">{t.templateHelp}</p>
      <input class="input" type="search" aria-label={t.searchTemplates} placeholder={t.searchTemplates} value={search} onInput={event => setSearch(event.currentTarget.value)} />
      {sections.map(section => (
        <div key={section}><h3>{section}</h3><ul>{found.filter(each => each.section === section).map(each => (
          <li key={each.i}><button class="linkish" type="button" onClick={() => { onClose(); go(`/cohorts/new?template=${each.i}`); }}>{each.title}</button></li>
        ))}</ul></div>
      ))}
    </Dialog>
  );
}
