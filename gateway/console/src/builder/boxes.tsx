// The boxes of a sentence, each bound to a place of the draft.
import { useState } from "preact/hooks";
import { Chips, Suggest } from "../parts/suggest";
import { builder as t, count } from "../texts";
import { isTexts, print, parse, pretty, type Json } from "../rule/json";
import type { Place } from "../rule/place";
import { eventList, readPath, readText, readValue, showPath, showValue, withEvents } from "../rule/values";
import { findProperty, offeredProperties, problemAt, problemId, useEdit, type Offer, type Scope } from "./edit";

function useWrong(place: Place, exactly = false) {
  const problem = problemAt(useEdit().problems, place, exactly);
  return { wrong: problem !== undefined, described: problem && problemId(problem) };
}

export function Word({ children }: { children: string }) {
  return <span class="kw">{children}</span>;
}

/** A select. A value that is not among the options stands beside them. */
export function Pick({ label, place, value, options, onPick }: { label: string; place: Place; value: string; options: readonly (readonly [string, string])[]; onPick: (value: string) => void }) {
  const { wrong, described } = useWrong(place, true);
  const known = options.some(([each]) => each === value);
  return (
    <span class={`box select ${wrong ? "wrong" : ""}`}>
      <select aria-label={label} value={value} aria-invalid={wrong ? "true" : undefined} aria-describedby={described} onChange={event => onPick(event.currentTarget.value)}>
        {!known && <option value={value}>{value}</option>}
        {options.map(([each, text]) => <option key={each} value={each}>{text}</option>)}
      </select>
    </span>
  );
}

/** A plain box. */
export function TextBox({ label, place, value, text: isText, placeholder }: { label: string; place: Place; value: Json | undefined; text?: boolean; placeholder?: string }) {
  const { change, settle } = useEdit();
  const { wrong, described } = useWrong(place);
  const [typed, setTyped] = useState<string | null>(null);
  const { show, read } = isText ? TEXT : VALUE;
  const text = typed ?? show(value);
  return (
    <span class={`box ${wrong ? "wrong" : ""}`}>
      <input
        aria-label={label} value={text} size={Math.max(3, text.length)} placeholder={placeholder} aria-invalid={wrong ? "true" : undefined} aria-describedby={described} spellcheck={false}
        autocomplete="off"
        onInput={event => { setTyped(event.currentTarget.value); change(place, read(event.currentTarget.value), true); }}
        onBlur={() => { if (typed !== null) settle(); setTyped(null); }}
      />
    </span>
  );
}

function asText(text: string): Json {
  return text;
}

const LENGTHS = ["1 day", "7 days", "14 days", "30 days", "90 days", "6 months", "1 year"];

export function LengthBox({ label, place, value, offers = LENGTHS }: { label: string; place: Place; value: Json | undefined; offers?: readonly string[] }) {
  return <NameBox label={label} place={place} value={value} offers={offers.map(text => ({ text }))} />;
}

/** How a box shows a value and reads what is typed: read(show(value)) is the value. */
export interface Spelling { show: (value: Json | undefined) => string; read: (text: string) => Json }
const VALUE: Spelling = { show: showValue, read: readValue };
const PATH: Spelling = { show: showPath, read: readPath };
/** Text as it is; what is no text stands as JSON until it is changed. */
const TEXT: Spelling = { show: value => (typeof value === "string" ? value : showValue(value)), read: asText };
/** Properties that hold nothing but text take digits as text. */
const WORD: Spelling = { show: value => (typeof value === "string" && readText(value) === value ? value : showValue(value)), read: readText };

export function NameBox({ label, place, value, offers, as = TEXT }: { label: string; place: Place; value: Json | undefined; offers: readonly Offer[]; as?: Spelling }) {
  const { change, settle } = useEdit();
  const { wrong, described } = useWrong(place);
  const write = (text: string) => (text === as.show(value) ? value ?? text : as.read(text));
  return <Suggest label={label} text={as.show(value)} offers={offers} wrong={wrong} described={described} onText={(typed, typing) => change(place, write(typed), typing)} onSettle={settle} />;
}

export function EventBox({ place, value, label = t.event }: { place: Place; value: Json | undefined; label?: string }) {
  const { change, vocabulary } = useEdit();
  const { wrong, described } = useWrong(place);
  const [more, setMore] = useState(false);
  const offers = [...vocabulary.events.map(each => ({ text: each.event_type, hint: each.events === null ? undefined : count(each.events) })), { text: "*", hint: t.anyEvent }];
  const events = eventList(value);
  if (!more && !Array.isArray(value)) {
    return (
      <>
        <NameBox label={label} place={place} value={value} offers={offers} />
        <button class="linkish" type="button" onClick={() => setMore(true)}>{t.orAnother}</button>
      </>
    );
  }
  return <Chips label={label} values={events} offers={offers} wrong={wrong} described={described} placeholder={t.or} onValues={next => { if (next.length > 0) change(place, withEvents(value, next)); if (next.length < 2) setMore(false); }} />;
}

export function PropertyBox({ place, value, scope, label = t.property }: { place: Place; value: Json | undefined; scope: Scope; label?: string }) {
  const { vocabulary } = useEdit();
  const offers = offeredProperties(vocabulary, scope).map(each => ({ text: showPath(each.property), hint: each.types.join(", ") }));
  return <NameBox label={label} place={place} value={value} offers={offers} as={PATH} />;
}

function spelling(types: readonly string[] | undefined): Spelling {
  return types?.length === 1 && types[0] === "string" ? WORD : VALUE;
}

export function ValueBox({ place, value, scope, property, text, label = t.value }: { place: Place; value: Json | undefined; scope: Scope; property: Json | undefined; text?: boolean; label?: string }) {
  const { vocabulary } = useEdit();
  const known = findProperty(vocabulary, scope, property);
  const as = text ? TEXT : spelling(known?.types);
  return <NameBox label={label} place={place} value={value} offers={(known?.examples ?? []).map(example => ({ text: as.show(example) }))} as={as} />;
}

export function ValuesBox({ place, value, scope, property, label = t.values }: { place: Place; value: readonly Json[]; scope: Scope; property: Json | undefined; label?: string }) {
  const { change, vocabulary } = useEdit();
  const { wrong, described } = useWrong(place);
  const known = findProperty(vocabulary, scope, property);
  const { show, read } = spelling(known?.types);
  const before = new Map(value.map(each => [show(each), each]));
  const offers = (known?.examples ?? []).map(example => ({ text: show(example) }));
  return <Chips label={label} values={[...before.keys()]} offers={offers} wrong={wrong} described={described} onValues={next => change(place, next.map(text => before.get(text) ?? read(text)))} />;
}

/** What the form cannot show: JSON, kept as it is and open to change. */
export function JsonBox({ place, value, label }: { place: Place; value: Json; label: string }) {
  const { change } = useEdit();
  const [typed, setTyped] = useState<string | null>(null);
  const [broken, setBroken] = useState(false);
  const text = typed ?? pretty(value, 72);
  return (
    <div class="json-block">
      <textarea
        class="input" aria-label={label} value={text} rows={Math.min(12, text.split("\n").length)} spellcheck={false} aria-invalid={broken ? "true" : undefined}
        onInput={event => {
          setTyped(event.currentTarget.value);
          try {
            const next = parse(event.currentTarget.value);
            setBroken(false);
            change(place, next, true);
          } catch {
            setBroken(true);
          }
        }}
        onBlur={() => { if (!broken) setTyped(null); }}
      />
      {broken && <p class="wrong-text">{t.noJson}</p>}
    </div>
  );
}

export function Adder({ text, onAdd, label }: { text: string; onAdd: () => void; label?: string }) {
  return <button class="linkish" type="button" aria-label={label} onClick={onAdd}>{text}</button>;
}

export { PATH };

export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : value === undefined ? "" : isTexts(value) ? value.join(", ") : print(value);
}
