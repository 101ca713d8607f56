// Why is this customer (not) in?
import { useState } from "preact/hooks";
import { cohortPath, get, part, Refusal, type Why } from "../api";
import { conditionInWords } from "../rule/words";
import { isObject, print, type Json } from "../rule/json";
import { at, placeText, readPlace } from "../rule/place";
import { numbered } from "../rule/tree";
import { Words } from "../builder/words";
import { why as t, figure } from "../texts";
import { Icon } from "./icons";
import { Failure, Panel } from "./parts";

export function WhyForm({ cohort, rule }: { cohort: string; rule: Json }) {
  const [id, setId] = useState("");
  const [answer, setAnswer] = useState<{ id: string; why: Why } | null>(null);
  const [error, setError] = useState<Refusal | null>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const asked = id.trim();
    if (asked === "") return;
    get<Why>(cohortPath(cohort, `/why/${part(asked)}`)).then(found => { setAnswer({ id: asked, why: found }); setError(null); }, (failed: Refusal) => setError(failed));
  };
  return (
    <Panel title={t.title}>
      <div class="stack">
        <form class="form-row" onSubmit={submit}>
          <div class="field"><label for="why-id">{t.customerId}</label><input id="why-id" class="input" value={id} onInput={event => setId(event.currentTarget.value)} /></div>
          <button class="button" type="submit">{t.ask}</button>
        </form>
        {error && <Failure error={error} />}
        {answer && <Verdict id={answer.id} why={answer.why} rule={rule} />}
      </div>
    </Panel>
  );
}

export function Verdict({ id, why, rule }: { id: string; why: Why; rule: Json }) {
  const numbers = new Map(numbered(rule).map(each => [placeText(each.place), each.no]));
  return (
    <div role="status">
      <p class="verdict"><span class={why.holds ? "ok-mark" : "bad-mark"}><Icon name={why.holds ? "tick" : "cross"} /></span><span><b>{why.holds ? t.in : t.notIn}</b> <bdi class="mono">{id}</bdi></span></p>
      <ul class="why">{why.items.map(item => {
        const value = at(rule, readPlace(item.path));
        const no = numbers.get(item.path);
        const evidence = evidenceInWords(item.evidence);
        return (
          <li key={item.path}>
            <span class={item.holds ? "yes" : "nay"}><Icon name={item.holds ? "tick" : "cross"} /><span class="unseen">{item.holds ? t.holds : t.fails}</span></span>
            <span>{no && <span class="quiet small">{no} </span>}{value === undefined ? item.condition : <Words pieces={conditionInWords(value)} />}</span>
            {evidence && <span class="evidence">{evidence}</span>}
          </li>
        );
      })}</ul>
    </div>
  );
}

/** Evidence is JSON whose shape depends on the condition: its keys and scalars in a line, lists by their number. */
export function evidenceInWords(evidence: Json): string {
  if (evidence === null || evidence === undefined) return "";
  if (!isObject(evidence)) return Array.isArray(evidence) ? t.things(evidence.length) : figure(evidence);
  return Object.entries(evidence).flatMap(([key, value]) => {
    if (value === null) return [];
    const name = key.replaceAll("_", " ");
    if (Array.isArray(value)) return value.length === 0 ? [] : [`${name}: ${value.slice(0, 3).map(each => (isObject(each) ? Object.values(each).map(inner => (isObject(inner) || Array.isArray(inner) ? print(inner) : figure(inner))).join(" ") : figure(each))).join("; ")}${value.length > 3 ? " …" : ""}`];
    return [`${name}: ${isObject(value) ? print(value) : figure(value)}`];
  }).join(", ");
}
