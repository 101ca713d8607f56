// time: which events count by when they happened.
import { builder as t, words } from "../texts";
import { isObject, isTexts, type Json, type JsonObject } from "../rule/json";
import { anchorKind, entries, timeForm, TIME_FORMS, type TimeForm } from "../rule/kinds";
import { UNITS, WEEKDAYS } from "../rule/operators";
import { keepId, type Place } from "../rule/place";
import { eventList, withEntries } from "../rule/values";
import { Icon } from "../parts/icons";
import { Adder, EventBox, JsonBox, LengthBox, Pick, PropertyBox, TextBox, textOf, Word } from "./boxes";
import { profileScope, useEdit } from "./edit";
import { newPredicate, Where } from "./predicates";
import { offeredProperties } from "./edit";

const FORM_OPTIONS = TIME_FORMS.map(form => [form, t.timeForms[form]] as const);

function isoDay(back: number): string {
  return new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);
}

export function newTime(form: TimeForm, event: string): JsonObject {
  switch (form) {
    case "in_the_last": case "more_than_ago": return { [form]: "30 days" };
    case "between_ago": return { between_ago: ["90 days", "30 days"] };
    case "this": case "previous": return { [form]: "month" };
    case "since": case "before": return { [form]: isoDay(30) };
    case "between": return { between: [isoDay(30), isoDay(0)] };
    case "weekday": return { weekday: ["saturday", "sunday"] };
    case "hours": return { hours: ["18:00", "24:00"] };
    case "from": case "until": return { [form]: { first: event }, within: "7 days" };
  }
}

export function Times({ value, place, events }: { value: Json | undefined; place: Place; events: readonly string[] }) {
  const { change } = useEdit();
  const rows = entries(value);
  const set = (list: Json[]) => change(place, withEntries(value, list));
  const event = events[0] ?? "*";
  return (
    <>
      {rows.map((row, i) => (
        <Time
          key={row.place[0] ?? 0} value={row.value} place={[...place, ...row.place]} event={event} first={i === 0}
          onRemove={() => set(rows.filter((_, k) => k !== i).map(each => each.value))}
          end={i === rows.length - 1 && <Adder text={t.addTime} onAdd={() => set([...rows.map(each => each.value), newTime("weekday", event)])} />}
        />
      ))}
    </>
  );
}

function Time({ value, place, event, first, onRemove, end }: { value: Json; place: Place; event: string; first: boolean; onRemove: () => void; end?: preact.ComponentChildren }) {
  const { change } = useEdit();
  const form = timeForm(value);
  const takeOut = <button class="kebab" type="button" aria-label={t.removeTime} onClick={onRemove}><Icon name="cross" /></button>;
  const word = <Word>{first ? t.time : t.and}</Word>;
  if (form === "json" || !isObject(value)) return <div class="sub"><div class="sentence">{word}{takeOut}{end}</div><JsonBox label={t.partAsJson} place={place} value={value} /></div>;
  const own = value[form];
  const [low, high] = Array.isArray(own) ? own : [];
  const at = [...place, form];
  return (
    <div class="sub">
      <div class="sentence">
        {word}
        <Pick label={t.when} place={place} value={form} options={FORM_OPTIONS} onPick={next => change(place, keepId(value, newTime(next as TimeForm, event)))} />
        {(form === "in_the_last" || form === "more_than_ago") && <LengthBox label={t.length} place={at} value={own} />}
        {(form === "between_ago" || form === "hours" || form === "between") && (
          <>
            <TextBox label={t.from} place={[...at, 0]} value={low} text /><Word>{form === "between_ago" ? t.and : t.toWord}</Word><TextBox label={t.to} place={[...at, 1]} value={high} text />
          </>
        )}
        {(form === "more_than_ago" || form === "between_ago") && <Word>{t.ago}</Word>}
        {form === "this" && <Pick label={t.unit} place={at} value={textOf(own)} options={UNITS.map(unit => [unit, unit])} onPick={next => change(at, next)} />}
        {form === "previous" && <LengthBox label={t.unit} place={at} value={own} offers={[...UNITS, "7 days", "4 weeks", "3 months"]} />}
        {(form === "since" || form === "before") && <TextBox label={t.date} place={at} value={own} text />}
        {form === "weekday" && <Weekdays value={own} place={at} />}
        {(form === "from" || form === "until") && (
          value.within === undefined ? <Adder text={t.addWithin} onAdd={() => change([...place, "within"], "7 days")} />
            : <><Word>{t.within}</Word><LengthBox label={t.within} place={[...place, "within"]} value={value.within} /><button class="kebab" type="button" aria-label={t.removeWithin} onClick={() => change([...place, "within"], undefined)}><Icon name="cross" /></button></>
        )}
        {takeOut}{end}
      </div>
      {(form === "from" || form === "until") && isObject(own) && <Anchor value={own} place={at} after={form === "from"} />}
    </div>
  );
}

function Weekdays({ value, place }: { value: Json | undefined; place: Place }) {
  const { change } = useEdit();
  const chosen = typeof value === "string" ? [value] : isTexts(value) ? value : [];
  const toggle = (day: string) => {
    const next = chosen.includes(day) ? chosen.filter(each => each !== day) : [...WEEKDAYS.filter(each => chosen.includes(each) || each === day), ...chosen.filter(each => !(WEEKDAYS as readonly string[]).includes(each))];
    const [only] = next;
    if (only !== undefined) change(place, typeof value === "string" && next.length === 1 ? only : next);
  };
  return (
    <span class="chips" role="group" aria-label={t.weekdays}>
      {WEEKDAYS.map(day => <button key={day} type="button" class="chip" aria-pressed={chosen.includes(day)} aria-label={words.weekdays[day]} onClick={() => toggle(day)}>{words.weekdays[day]?.slice(0, 2)}</button>)}
    </span>
  );
}

function Anchor({ value, place, after }: { value: JsonObject; place: Place; after: boolean }) {
  const { change, vocabulary } = useEdit();
  const kind = anchorKind(value);
  const pick = (next: string) => {
    const event = value.first ?? value.last ?? vocabulary.events[0]?.event_type ?? "*";
    if (next === "profile") change(place, keepId(value, { profile: offeredProperties(vocabulary, profileScope)[0]?.property ?? "" }));
    else change(place, keepId(value, { [next]: event, ...(value.where === undefined ? {} : { where: value.where }) }));
  };
  if (kind === "json") return null;
  const events = eventList(value[kind]);
  const scope = { of: "events", events, steps: [] } as const;
  return (
    <div class="nested">
      <div class="sentence">
        <Word>{after ? t.afterTheir : t.beforeTheir}</Word>
        <Pick label={t.anchor} place={place} value={kind} options={[["first", t.first], ["last", t.last], ["profile", t.dateOfProfile]]} onPick={pick} />
        {kind === "profile" ? <PropertyBox place={[...place, "profile"]} value={value.profile} scope={profileScope} /> : <EventBox place={[...place, kind]} value={value[kind]} />}
        {kind !== "profile" && value.where === undefined && <Adder text={t.addWhere} onAdd={() => change([...place, "where"], newPredicate(scope, offeredProperties(vocabulary, scope)))} />}
      </div>
      {value.where !== undefined && <Where value={value.where} place={[...place, "where"]} scope={scope} />}
    </div>
  );
}
