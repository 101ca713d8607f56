// Customers: find one; a profile, the events as a timeline, the cohorts, and why.
import { useEffect, useMemo, useState } from "preact/hooks";
import { ask, cohortPath, get, part, Refusal, type Cohort, type Customer, type CustomerPage as Page, type Event, type List, type Moved, type Why } from "../api";
import { profileLine } from "../builder/result";
import { Await, Dialog, Empty, Failure, Menu, Panel } from "../parts/parts";
import { Verdict } from "../parts/why";
import { Icon } from "../parts/icons";
import { go, Link, path } from "../router";
import { isObject, isScalar, print, type Json } from "../rule/json";
import { useLoad, useShared, useTitle } from "../state";
import { ago, clock, common, count, customer as t, day, figure, plural } from "../texts";

export function CustomersPage() {
  useTitle(t.title);
  const [search, setSearch] = useState("");
  const [asked, setAsked] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setAsked(search.trim()), 250);
    return () => clearTimeout(timer);
  }, [search]);
  const found = useLoad(`customers ${asked}`, signal => get<List<Customer>>(`/v1/customers?limit=50${asked ? `&search=${part(asked)}` : ""}`, signal));
  return (
    <>
      <div class="page-head"><div><h1>{t.title}</h1><p>{t.lead}</p></div></div>
      <section class="panel" aria-label={t.title}>
        <header><form class="row" onSubmit={event => { event.preventDefault(); if (search.trim()) go(path("customers", search.trim())); }}>
          <input class="input search" type="search" aria-label={t.search} placeholder={t.search} value={search} onInput={event => setSearch(event.currentTarget.value)} /><button class="button" type="submit">{t.open}</button>
        </form></header>
        <Await of={found}>{data => (data.items.length === 0 ? <Empty title={asked ? t.nobody(asked) : t.noneYet}><p>{t.knownByEvents}</p></Empty> : (
          <table class="cards"><thead><tr><th scope="col">{t.id}</th><th scope="col">{t.profile}</th><th scope="col" class="num">{t.changed}</th></tr></thead><tbody>{data.items.map(each => (
            <tr key={each.customer_id}><th scope="row"><Link class="mono" to={path("customers", each.customer_id)}>{each.customer_id}</Link></th><td class="quiet"><bdi>{profileLine(each.profile) || t.noName}</bdi></td><td class="num quiet">{each.updated_at ? day(each.updated_at) : ""}</td></tr>
          ))}</tbody></table>
        ))}</Await>
      </section>
    </>
  );
}

export function CustomerPage({ id }: { id: string }) {
  useTitle(id);
  const loaded = useLoad(`customer ${id}`, signal => get<Page>(`/v1/customers/${part(id)}?limit=80`, signal));
  const cohorts = useLoad(`cohorts of ${id}`, signal => get<List<string>>(`/v1/customers/${part(id)}/cohorts`, signal));
  const [forgetting, setForgetting] = useState(false);
  if (loaded.error?.status === 404) return <section class="panel"><Empty whole title={t.nobody(id)} actions={<Link class="button" to="/customers">{t.title}</Link>}><p>{t.nobodyText}</p></Empty></section>;
  return (
    <Await of={loaded} title={id}>{data => (
      <>
        <div class="page-head">
          <div><p class="crumb"><Link to="/customers">{t.title}</Link></p><h1><bdi>{name(data.profile)}</bdi> <span class="mono">{id}</span></h1><p>{data.events[0] ? t.last(ago(data.events[0].occurred_at)) : t.noEvent}</p></div>
          <div class="row"><button class="button" type="button" onClick={() => void navigator.clipboard.writeText(id)}><Icon name="copy" />{t.copyId}</button><Menu label={common.more} class="button square" button={<Icon name="more" />} items={[{ text: t.forget, act: () => setForgetting(true) }]} /></div>
        </div>
        <div class="grid">
          <div class="side column">
            <Panel title={t.profile} end={data.updated_at && <span class="small quiet">{t.changedOn(day(data.updated_at))}</span>}>{data.profile === null || Object.keys(data.profile).length === 0 ? <p class="quiet">{t.noProfile}</p> : <Profile profile={data.profile} />}</Panel>
            <Panel title={cohorts.data ? t.inCohorts(cohorts.data.items.length) : t.cohorts} flush><Await of={cohorts}>{list => (list.items.length === 0 ? <div class="body"><p class="quiet">{t.inNone}</p></div> : <ul class="lines">{list.items.map(each => <li key={each}><Link to={path("cohorts", each)}><bdi>{each}</bdi></Link></li>)}</ul>)}</Await></Panel>
            <WhyOf id={id} />
          </div>
          <div class="wide"><Timeline id={id} first={data} /></div>
        </div>
        {forgetting && <Forget id={id} onClose={() => setForgetting(false)} />}
      </>
    )}</Await>
  );
}

function name(profile: Page["profile"]): string {
  if (!profile) return "";
  return ["firstName", "lastName"].map(key => profile[key]).filter(each => typeof each === "string").join(" ") || (typeof profile.name === "string" ? profile.name : "");
}

const PERSONAL = /mail|phone/i;

function Profile({ profile }: { profile: Record<string, Json> }) {
  return <dl class="pairs">{Object.entries(profile).map(([key, value]) => <><dt>{key}</dt><dd><Value name={key} value={value} /></dd></>)}</dl>;
}

/** Addresses and numbers stay hidden until somebody wants to see them. */
function Value({ name: key, value }: { name: string; value: Json }) {
  const [shown, setShown] = useState(false);
  const text = Array.isArray(value) && value.every(isScalar) ? value.map(figure).join(", ") : typeof value === "string" ? value : isScalar(value) ? String(value) : print(value);
  if (!PERSONAL.test(key) || shown || text.length < 5) return <bdi>{text}</bdi>;
  const at = text.indexOf("@");
  return <><bdi>{at > 0 ? `${text[0]}…${text.slice(at)}` : `${text.slice(0, 3)} … ${text.slice(-4)}`}</bdi> <button class="linkish" type="button" aria-label={t.showKey(key)} onClick={() => setShown(true)}>{t.show}</button></>;
}

function Timeline({ id, first }: { id: string; first: Page }) {
  const [more, setMore] = useState<Event[]>([]);
  const [next, setNext] = useState(first.next);
  const [type, setType] = useState<string | null>(null);
  const events = useMemo(() => [...first.events, ...more], [first, more]);
  const types = useMemo(() => {
    const counts = new Map<string, number>();
    for (const event of events) counts.set(event.event_type, (counts.get(event.event_type) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]);
  }, [events]);
  const shown = events.filter(event => type === null || event.event_type === type);
  const moved = useLoad(`changes of ${id}`, signal => get<List<Moved>>(`/v1/customers/${part(id)}/changes?limit=1000`, signal));
  // As far back as the events that are shown, or all where these are all.
  const oldest = next ? Date.parse(events.at(-1)?.occurred_at ?? "") : -Infinity;
  const moves = type !== null ? [] : (moved.data?.items ?? []).filter(each => Date.parse(each.changed_at) >= oldest);
  const lines = [...shown.map(event => ({ at: event.occurred_at, event, move: null })), ...moves.map(move => ({ at: move.changed_at, event: null, move }))].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
  const days = [...new Set(lines.map(line => new Date(line.at).toDateString()))];
  const older = () => void get<Page>(`/v1/customers/${part(id)}?limit=80&after=${part(next ?? "")}`).then(page => { setMore([...more, ...page.events]); setNext(page.next); }, () => undefined);
  return (
    <Panel title={t.events} flush end={<div class="chips"><button type="button" class="chip" aria-pressed={type === null} onClick={() => setType(null)}>{t.all} <span class="n">{count(events.length)}</span></button>{types.slice(0, 6).map(([each, n]) => <button key={each} type="button" class="chip" aria-pressed={type === each} onClick={() => setType(each)}><bdi>{each}</bdi> <span class="n">{count(n)}</span></button>)}</div>}
      foot={<><span>{t.shownEvents(plural(shown.length, "event"))}</span>{next && <button class="button" type="button" onClick={older}>{t.older}</button>}</>}>
      {lines.length === 0 ? <Empty title={t.noEvent} /> : days.map(each => (
        <div class="day" key={each}><h3>{dayName(each)}</h3><ul>{lines.filter(line => new Date(line.at).toDateString() === each).map(({ at, event, move }) => (event ? (
          <li class="event" key={event.event_id}><time dateTime={at}>{clock(at)}</time><b><bdi>{event.event_type}</bdi></b><Data data={event.data} /></li>
        ) : (
          <li class={`event moved ${move.change === "entered" ? "in" : "out"}`} key={`${move.cohort} ${at}`}><time dateTime={at}>{clock(at)}</time><span>{move.change === "entered" ? t.entered : t.left}</span><span class="data"><Link to={path("cohorts", move.cohort)}><bdi>{move.cohort}</bdi></Link></span></li>
        )))}</ul></div>
      ))}
    </Panel>
  );
}

function dayName(date: string): string {
  const today = new Date();
  if (date === today.toDateString()) return t.today;
  if (date === new Date(today.getTime() - 86_400_000).toDateString()) return t.yesterday;
  return day(new Date(date).toISOString());
}

const LONGEST = 200;

export function Data({ data }: { data: Json }) {
  const [whole, setWhole] = useState(false);
  if (!isObject(data)) return <span class="data">{data === null ? "" : print(data)}</span>;
  const pairs = Object.entries(data).map(([key, value]) => [key, isScalar(value) ? String(value) : print(value)] as const);
  const long = pairs.reduce((sum, [key, value]) => sum + key.length + value.length, 0) > LONGEST;
  const shown = long && !whole ? pairs.slice(0, 5).map(([key, value]) => [key, value.length > 60 ? `${value.slice(0, 60)}…` : value] as const) : pairs;
  return <span class="data">{shown.map(([key, value], i) => <span key={key}>{i > 0 ? ", " : ""}{key} <b><bdi>{value}</bdi></b></span>)}{long && <button class="linkish" type="button" onClick={() => setWhole(!whole)}>{whole ? t.less : t.whole}</button>}</span>;
}

function WhyOf({ id }: { id: string }) {
  const cohorts = useLoad("all cohorts", signal => get<List<Cohort>>("/v1/cohorts?limit=1000", signal));
  const [chosen, setChosen] = useState("");
  const [answer, setAnswer] = useState<{ cohort: Cohort; why: Why } | null>(null);
  const [error, setError] = useState<Refusal | null>(null);
  const list = (cohorts.data?.items ?? []).filter(each => each.kind === "rule");
  const current = chosen || list[0]?.name || "";
  const submit = (event: globalThis.Event) => {
    event.preventDefault();
    const cohort = list.find(each => each.name === current);
    if (cohort) get<Why>(cohortPath(cohort.name, `/why/${part(id)}`)).then(why => { setAnswer({ cohort, why }); setError(null); }, (failed: Refusal) => setError(failed));
  };
  if (list.length === 0) return null;
  return (
    <Panel title={t.why}><div class="stack">
      <form class="form-row" onSubmit={submit}><div class="field"><label for="why-cohort">{t.cohort}</label><span class="pick"><select id="why-cohort" class="input" value={current} onChange={event => setChosen(event.currentTarget.value)}>{list.map(each => <option key={each.name}>{each.name}</option>)}</select></span></div><button class="button" type="submit">{t.ask}</button></form>
      {error && <Failure error={error} />}{answer && <Verdict id={answer.cohort.name} why={answer.why} rule={answer.cohort.rule} />}
    </div></Panel>
  );
}

function Forget({ id, onClose }: { id: string; onClose: () => void }) {
  const { say } = useShared();
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<Refusal | null>(null);
  const forget = () => ask<{ events: number; syncs: number }>("DELETE", `/v1/customers/${part(id)}`).then(({ data }) => { onClose(); say({ text: t.forgotten(plural(data.events, "event"), plural(data.syncs, "sync")) }); go("/customers"); }, (failed: Refusal) => setError(failed));
  return (
    <Dialog title={t.forgetTitle(id)} onClose={onClose} foot={<><button class="button" type="button" autofocus onClick={onClose}>{t.keep}</button><button class="button danger" type="button" disabled={typed !== id} onClick={() => void forget()}>{t.forget}</button></>}>
      {error && <Failure error={error} />}<p>{t.forgetText}</p><div class="field"><label for="forget-id">{t.typeId}</label><input id="forget-id" class="input mono" value={typed} autocomplete="off" onInput={event => setTyped(event.currentTarget.value)} /></div>
    </Dialog>
  );
}
