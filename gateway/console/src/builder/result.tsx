// The right-hand side of the builder: the size, who can be reached where, and some of the members.
import { useEffect, useRef, useState } from "preact/hooks";
import { post, Refusal, type Customer, type Preview, type Reach } from "../api";
import { Link, path } from "../router";
import { count, clock, list, plural, result as t, share } from "../texts";
import { print, type Json } from "../rule/json";
import { conditionAt } from "../rule/tree";
import { Empty, Failure, Meter, Note, Panel } from "../parts/parts";
import type { Answer } from "./answer";

export function Result({ answer, draft, goTo, again }: { answer: Answer; draft: Json; goTo: () => void; again: () => void }) {
  const { good, goodAt, problems, pending } = answer;
  const first = problems[0];
  const no = first && (conditionAt(draft, first.place)?.no ?? "");
  return (
    <Panel title={t.title} class="first" end={goodAt && <span class="quiet small">{first ? t.before(clock(goodAt, true)) : clock(goodAt, true)}</span>}>
      <div class="stack" data-answer={pending ? "pending" : first ? "problem" : "whole"}>
        {good?.size === null || good === null ? <p class="quiet">{draft === null ? t.noRule : answer.slow ? t.counting : t.noSize}</p> : (
          <div>
            <p class="baseline"><span class={`figure ${pending || first ? "old" : ""}`}>{count(good.size)}</span><span class="quiet">{t.of(share(good.size, good.universe ?? 0), plural(good.universe ?? 0, "customer"))}</span></p>
            <Meter part={good.size} whole={good.universe ?? 0} />
          </div>
        )}
        {first && <Note tone="warn">{t.problems(problems.length)} <button class="linkish" type="button" onClick={goTo}>{no ? t.at(no) : t.show}</button> {t.saveTakesYou}</Note>}
        {answer.error && <Failure error={answer.error} again={again} safe={t.draftIsSafe} />}
      </div>
    </Panel>
  );
}

interface Ran { sample: Customer[]; reach: Reach[]; size: number; rule: string }

export function useRun(rule: Json) {
  const [ran, setRan] = useState<Ran | null>(null);
  const [error, setError] = useState<Refusal | null>(null);
  const [busy, setBusy] = useState(false);
  const number = useRef(0);
  const run = async () => {
    if (rule === null) return;
    const own = ++number.current;
    setBusy(true);
    try {
      const answer = await post<Preview>("/v1/preview", { rule, sample: 6, reach: true });
      if (!answer.valid || answer.size === null) return;
      if (own !== number.current) return;
      setRan({ sample: answer.sample, reach: answer.reach ?? [], size: answer.size, rule: print(rule) });
      setError(null);
    } catch (failed) {
      setError(failed instanceof Refusal ? failed : new Refusal(-1, String(failed)));
    } finally {
      if (own === number.current) setBusy(false);
    }
  };
  return { ran, error, busy, run, old: ran !== null && (rule === null || ran.rule !== print(rule)) };
}

export function Reachable({ ran, old, run }: { ran: Ran | null; old: boolean; run: () => void }) {
  return (
    <Panel title={t.reachable} end={<Link class="small" to="/destinations">{t.destinations}</Link>}>
      {ran === null ? <p class="quiet">{t.runSays}</p> : ran.reach.length === 0 ? <p class="quiet">{t.noDestination}</p> : (
        <ul class="reach">
          {ran.reach.map(each => (
            <li key={each.destination}>
              <div class="spread"><bdi>{each.destination}</bdi><span><b class={old ? "old" : ""}>{count(each.customers)}</b> <span class="quiet small">{share(each.customers, ran.size)}</span></span></div>
              <Meter part={each.customers} whole={ran.size} />
              <span class="quiet small">{each.properties === null ? t.byId : each.customers === ran.size ? t.allHave(list(each.properties, "or")) : t.lack(count(ran.size - each.customers), list(each.properties, "or"))}</span>
            </li>
          ))}
        </ul>
      )}
      {old && <p class="small quiet">{t.isOld} <button class="linkish" type="button" onClick={run}>{t.runAgain}</button></p>}
    </Panel>
  );
}

export function profileLine(profile: Customer["profile"]): string {
  if (!profile) return "";
  const name = ["firstName", "first_name", "name"].map(key => profile[key]).find(each => typeof each === "string");
  return [name, profile.city, profile.country].filter(each => typeof each === "string").join(" · ");
}

export function SampleOf({ ran, old, error }: { ran: Ran | null; old: boolean; error: Refusal | null }) {
  return (
    <Panel title={t.sample} flush>
      {error && <Failure error={error} />}
      {ran === null ? <div class="body"><p class="quiet">{t.runShows}</p></div> : ran.sample.length === 0 ? <Empty title={t.nobody} /> : (
        <table class="tight"><thead><tr><th scope="col">{t.customer}</th><th scope="col">{t.profile}</th></tr></thead>
          <tbody>{ran.sample.map(each => (
            <tr key={each.customer_id} class={old ? "quiet" : ""}>
              <th scope="row"><Link class="mono" to={path("customers", each.customer_id)}>{each.customer_id}</Link></th>
              <td class="quiet"><bdi>{profileLine(each.profile) || t.noProfile}</bdi></td>
            </tr>
          ))}</tbody>
        </table>
      )}
    </Panel>
  );
}

/** Announces a size once it stands still for a second. */
export function Announce({ text }: { text: string }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setSaid(text), 1000);
    return () => clearTimeout(timer);
  }, [text]);
  return <p class="unseen" role="status">{said}</p>;
}
