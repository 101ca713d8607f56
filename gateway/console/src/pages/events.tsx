// Events: whether data arrives, which types and properties there are, and the latest.
import { useEffect, useState } from "preact/hooks";
import { get, part, type Event, type EventType, type List, type Property } from "../api";
import { Bars } from "../parts/charts";
import { Await, Choice, Empty, Panel, State } from "../parts/parts";
import { Icon } from "../parts/icons";
import { Link, path } from "../router";
import { print } from "../rule/json";
import { showPath } from "../rule/values";
import { useLoad, useTitle } from "../state";
import { ago, clock, count, events as t, plural, share } from "../texts";
import { Data } from "./customers";

const SPANS = [["7", t.days7], ["14", t.days14], ["31", t.days31]] as const;

export function EventsPage({ chosen }: { chosen: string | null }) {
  useTitle(t.title);
  const [days, setDays] = useState<"7" | "14" | "31">("14");
  const types = useLoad(`event types ${days}`, signal => get<List<EventType>>(`/v1/event-types?days=${days}`, signal));
  const [live, setLive] = useState(true);
  const latest = useLoad("latest events", signal => get<List<Event>>("/v1/events?limit=12", signal));
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => { if (!document.hidden) latest.reload(); }, 3000);
    return () => clearInterval(timer);
  }, [live]);
  const last = latest.data?.items[0];
  const today = types.data?.items.reduce((sum, type) => sum + (type.days.at(-1)?.events ?? 0), 0) ?? 0;
  return (
    <>
      <div class="page-head">
        <div><h1>{t.title}</h1>{types.data && <p>{t.today(count(today), plural(types.data.items.filter(type => type.days.some(each => each.events > 0) || (type.events ?? 0) > 0).length, "type"))} {last && <>{Date.now() - Date.parse(last.occurred_at) < 86_400_000 ? <State tone="ok">{t.arrives}</State> : <State tone="warn">{t.silent}</State>}, {t.last(ago(last.occurred_at))}</>}</p>}</div>
        <Choice label={t.span} value={days} options={SPANS} onChange={setDays} />
      </div>
      <Await of={types}>{data => {
        const used = data.items.filter(type => (type.events ?? 0) > 0 || type.days.some(each => each.events > 0)).sort((a, b) => (b.events ?? 0) - (a.events ?? 0));
        if (used.length === 0) return <section class="panel"><Empty title={t.noneTitle}><p>{t.noneText}</p><pre class="code" tabIndex={0}>{`curl -H "Authorization: Bearer $KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '{"customerId": "c_1", "eventType": "view"}' \\\n  ${location.origin}/api/event-flows/signal`}</pre></Empty></section>;
        const type = chosen ?? used[0]?.event_type ?? "";
        return (
          <div class="column">
            <Panel title={t.types} flush end={<span class="small quiet">{t.scale}</span>}>
              <ul class="multiples">{used.map(each => {
                const like = used.find(other => other !== each && other.event_type.toLowerCase() === each.event_type.toLowerCase() && (other.events ?? 0) > (each.events ?? 0));
                return (
                  <li key={each.event_type}>
                    <div class="spread"><Link to={`/events?type=${part(each.event_type)}`} aria-current={each.event_type === type ? "page" : undefined}><bdi>{each.event_type}</bdi></Link><b>{each.events === null ? "–" : count(each.events)}</b></div>
                    {each.days.length > 0 && <Bars days={each.days} label={t.bars(each.event_type, each.days.map(one => count(one.events)).join(", "))} />}
                    {each.customers !== null && <span class="small quiet">{t.by(plural(each.customers, "customer"))}</span>}
                    {like && <span class="small state warn"><Icon name="warn" /><span>{t.like(like.event_type)}</span></span>}
                  </li>
                );
              })}</ul>
            </Panel>
            <div class="grid">
              <div class="seven"><Properties type={type} total={used.find(each => each.event_type === type)?.events ?? null} /></div>
              <div class="five"><Panel title={t.latest} flush end={<button class="button" type="button" aria-pressed={!live} onClick={() => setLive(!live)}>{live ? t.stop : t.goOn}</button>}>
                <Await of={latest}>{list => <div class="scroll" tabIndex={0}><table class="tight"><thead><tr><th scope="col">{t.at}</th><th scope="col">{t.type}</th><th scope="col">{t.customer}</th><th scope="col">{t.data}</th></tr></thead><tbody>{list.items.map(event => (
                  <tr key={event.event_id}><td class="nowrap">{clock(event.occurred_at, true)}</td><td><bdi>{event.event_type}</bdi></td><th scope="row"><Link class="mono" to={path("customers", event.customer_id)}>{event.customer_id}</Link></th><td><Data data={event.data} /></td></tr>
                ))}</tbody></table></div>}</Await>
              </Panel></div>
            </div>
          </div>
        );
      }}</Await>
    </>
  );
}

function Properties({ type, total }: { type: string; total: number | null }) {
  const [search, setSearch] = useState("");
  const found = useLoad(`properties ${type}`, signal => get<List<Property>>(`/v1/properties?event_type=${part(type)}`, signal));
  return (
    <Panel title={t.propertiesOf(type)} flush end={<input class="input search" type="search" aria-label={t.findProperty} placeholder={t.findProperty} value={search} onInput={event => setSearch(event.currentTarget.value)} />} foot={total !== null && <span>{t.ofEvents(count(total))}</span>}>
      <Await of={found}>{data => {
        const rows = data.items.filter(each => showPath(each.property).toLowerCase().includes(search.toLowerCase()));
        return rows.length === 0 ? <Empty title={t.noProperty} /> : (
          <div class="scroll" tabIndex={0}><table class="tight"><thead><tr><th scope="col">{t.property}</th><th scope="col">{t.types}</th><th scope="col" class="num">{t.in}</th><th scope="col" class="num">{t.different}</th><th scope="col">{t.example}</th></tr></thead><tbody>{rows.map(each => (
            <tr key={showPath(each.property)}><th scope="row" class="mono">{showPath(each.property)}</th><td>{each.types.length > 1 ? <span class="state warn"><Icon name="warn" />{each.types.join(", ")}</span> : each.types.join(", ")}</td><td class="num">{each.events === null || total === null ? "–" : share(each.events, total)}</td><td class="num">{each.distinct_values === null ? "–" : count(each.distinct_values)}</td><td>{each.examples.slice(0, 4).map(example => <span class="example" key={print(example)}>{typeof example === "string" ? example : print(example)}</span>)}</td></tr>
          ))}</tbody></table></div>
        );
      }}</Await>
    </Panel>
  );
}

