// Overlap as lines: the full width is this cohort; a member is in every cohort that is filled above their place.
import { useState } from "preact/hooks";
import { get, part, type Cohort, type List } from "../api";
import { Link, path } from "../router";
import { useLoad } from "../state";
import { count, overlap as t } from "../texts";
import { Await, Panel } from "./parts";
import { Suggest } from "./suggest";

interface Combination { cohorts: string[]; customers: number; only_these: number }

export function Overlap({ name }: { name: string }) {
  const [others, setOthers] = useState<string[]>([]);
  const [typed, setTyped] = useState("");
  const names = useLoad("cohort names", signal => get<List<Cohort>>("/v1/cohorts?limit=1000", signal).then(list => list.items.map(each => each.name)));
  const query = [name, ...others].map(each => `name=${part(each)}`).join("&");
  const found = useLoad(others.length === 0 ? null : `overlap ${query}`, signal => get<List<Combination>>(`/v1/overlap?${query}`, signal));
  const add = (other: string) => {
    setTyped("");
    if (names.data?.includes(other) && !others.includes(other)) setOthers([...others, other].slice(0, 6));
  };
  const offers = (names.data ?? []).filter(each => each !== name && !others.includes(each)).map(text => ({ text }));
  return (
    <Panel title={t.title} end={<Suggest label={t.another} placeholder={t.another} text={typed} offers={offers} onText={(text, typing) => (typing ? setTyped(text) : add(text))} onEnter={add} />}>
      {others.length === 0 ? <p class="quiet">{t.choose}</p> : <Await of={found}>{data => <Lines name={name} others={others} items={data.items} remove={other => setOthers(others.filter(each => each !== other))} />}</Await>}
    </Panel>
  );
}

function Lines({ name, others, items, remove }: { name: string; others: string[]; items: Combination[]; remove: (name: string) => void }) {
  const cells = items.filter(item => item.cohorts.includes(name) && item.only_these > 0).sort((a, b) => order(b, others) - order(a, others));
  const whole = cells.reduce((sum, cell) => sum + cell.only_these, 0);
  const both = (other: string) => cells.filter(cell => cell.cohorts.includes(other)).reduce((sum, cell) => sum + cell.only_these, 0);
  return (
    <div class="overlap">
      {others.map(other => (
        <div class="line" key={other}>
          <span><Link to={path("cohorts", other)}><bdi>{other}</bdi></Link></span>
          <span class="cells" aria-hidden="true">{cells.map(cell => <i key={cell.cohorts.join("|")} class={cell.cohorts.includes(other) ? "on" : ""} style={{ flexGrow: cell.only_these, flexBasis: 0 }} />)}</span>
          <b class="num">{count(both(other))}</b>
        </div>
      ))}
      <p class="small quiet">{t.legend(count(whole))} {cells.map(cell => t.cell(count(cell.only_these), cell.cohorts.filter(each => each !== name))).join("; ")}.</p>
      <p>{others.map(other => <button key={other} class="linkish" type="button" onClick={() => remove(other)}>{t.without(other)}</button>)}</p>
    </div>
  );
}

/** Cells that share the first cohorts stand together. */
function order(cell: Combination, others: string[]): number {
  return others.reduce((sum, other, i) => sum + (cell.cohorts.includes(other) ? 2 ** (others.length - i) : 0), 0);
}
