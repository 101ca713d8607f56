// did: an event, how often, with which sum, when. A step of a sequence has the same parts and some of its own.
import { builder as t, words } from "../texts";
import { isObject, type Json, type JsonObject } from "../rule/json";
import { DID_OPTIONS, HEAD_KEYS, measureOf, MEASURES, optionIsShown, STEP_OPTIONS } from "../rule/kinds";
import { FUNCTIONS, UNITS } from "../rule/operators";
import { keepId, type Place } from "../rule/place";
import { eventList } from "../rule/values";
import { Icon } from "../parts/icons";
import { Adder, EventBox, JsonBox, LengthBox, Pick, PropertyBox, TextBox, textOf, ValuesBox, Word } from "./boxes";
import { offeredProperties, useEdit, type Scope } from "./edit";
import { newPredicate, Where } from "./predicates";
import { newTime, Times } from "./time";

const MEASURE_OPTIONS = MEASURES.map(each => [each, t.measures[each]] as const);

/** One comparison of a number: at least 2, between 2 and 5. */
export function MeasureBoxes({ value, place, besides = [], lists }: { value: JsonObject; place: Place; besides?: readonly string[]; lists?: Scope }) {
  const { change } = useEdit();
  const key = measureOf(value, ...besides);
  if (key === undefined) return null;
  const operand = value[key];
  const pick = (next: string) => {
    const first = Array.isArray(operand) ? operand[0] ?? 1 : operand ?? 1;
    const others = Object.fromEntries(Object.entries(value).filter(([each]) => besides.includes(each))) as JsonObject;
    change(place, keepId(value, { ...others, [next]: next === "between" ? [first, first] : next === "in" ? [first] : first }));
  };
  const options = lists ? [["eq", words.operators.eq ?? ""], ["in", words.operators.in ?? ""]] as const : MEASURE_OPTIONS;
  const [low, high] = Array.isArray(operand) ? operand : [];
  return (
    <>
      <Pick label={t.howMany} place={place} value={key} options={options} onPick={pick} />
      {key === "between" && <><TextBox label={t.from} place={[...place, key, 0]} value={low} /><Word>{t.and}</Word><TextBox label={t.to} place={[...place, key, 1]} value={high} /></>}
      {key === "in" && <ValuesBox place={[...place, key]} value={Array.isArray(operand) ? operand : []} scope={lists ?? { of: "events", events: [], steps: [] }} property={value.property} />}
      {key !== "between" && key !== "in" && <TextBox label={t.number} place={[...place, key]} value={operand} />}
    </>
  );
}

/** The parts of a condition on events below its first line, and the links that add the others. */
export function Parts({ value, place, scope, step, between, extra }: { value: JsonObject; place: Place; scope: Scope; step?: boolean; between?: boolean; extra?: preact.ComponentChildren }) {
  const { change, vocabulary } = useEdit();
  const at = (key: string) => [...place, key];
  const has = (key: string) => value[key] !== undefined;
  const drop = (...keys: string[]) => {
    const next = { ...value };
    for (const key of keys) delete next[key];
    change(place, keepId(value, next));
  };
  const cross = (label: string, ...keys: string[]) => <button class="kebab" type="button" aria-label={label} onClick={() => drop(...keys)}><Icon name="cross" /></button>;
  const predicate = () => newPredicate(scope, offeredProperties(vocabulary, scope));
  const known: readonly string[] = [...(step ? STEP_OPTIONS : DID_OPTIONS), "did", "did_not", ...HEAD_KEYS];
  const blocks = Object.keys(value).filter(key => !known.includes(key) || (!["did", "did_not", ...HEAD_KEYS].includes(key) && !optionIsShown(key, value[key])));
  const shown = (key: string) => has(key) && !blocks.includes(key);
  const counted = !step && !has("occurrence");
  const { occurrence, aggregate, periods } = value;
  return (
    <>
      {shown("occurrence") && occurrence !== undefined && (
        <div class="sentence sub">
          <Word>{t.counting}</Word>
          <Pick label={t.whichOne} place={at("occurrence")} value={typeof occurrence === "string" ? occurrence : "nth"} options={[["first", t.first], ["last", t.last], ["nth", t.nth]]}
            onPick={next => change(at("occurrence"), next === "nth" ? { nth: 2 } : next)} />
          {isObject(occurrence) && <TextBox label={t.nth} place={[...at("occurrence"), "nth"]} value={occurrence.nth} />}
          {!has("among") && <Adder text={t.addAmong} onAdd={() => change(at("among"), predicate())} />}
          {cross(t.removeOccurrence, "occurrence", "among")}
        </div>
      )}
      {shown("among") && <Where value={value.among} place={at("among")} scope={scope} word={t.among} />}
      {shown("where") && <Where value={value.where} place={at("where")} scope={scope} />}
      {shown("aggregate") && isObject(aggregate) && (
        <div class="sentence sub">
          <Word>{t.withThe}</Word>
          <Pick label={t.functionName} place={[...at("aggregate"), "fn"]} value={textOf(aggregate.fn)} options={FUNCTIONS.map(fn => [fn, words.functions[fn] ?? fn])}
            onPick={fn => change(at("aggregate"), keepId(aggregate, fn === "most_frequent" ? { fn, property: aggregate.property ?? "", eq: "" } : aggregate.fn === "most_frequent" ? { fn, property: aggregate.property ?? "", gte: 1 } : { ...aggregate, fn }))} />
          <PropertyBox place={[...at("aggregate"), "property"]} value={aggregate.property} scope={scope} />
          <MeasureBoxes value={aggregate} place={at("aggregate")} besides={["fn", "property"]} lists={aggregate.fn === "most_frequent" ? scope : undefined} />
          {cross(t.removeAggregate, "aggregate")}
        </div>
      )}
      {shown("time") && <Times value={value.time} place={at("time")} events={eventList(value.did ?? value.did_not)} />}
      {shown("per") && (
        <div class="sentence sub">
          <Word>{t.per}</Word><Pick label={t.unit} place={at("per")} value={textOf(value.per)} options={UNITS.map(unit => [unit, unit])} onPick={next => change(at("per"), next)} />
          {shown("periods") && isObject(periods) && (
            <>
              <Word>{t.on}</Word><MeasureBoxes value={periods} place={at("periods")} besides={["streak"]} />
              <Pick label={t.streak} place={[...at("periods"), "streak"]} value={textOf(periods.streak)} options={[["", t.inAll(textOf(value.per))], ["longest", t.inARow(textOf(value.per))], ["current", t.inARowNow(textOf(value.per))]]}
                onPick={next => change([...at("periods"), "streak"], next === "" ? undefined : next)} />
            </>
          )}
          {cross(t.removePeriods, "per", "periods")}
        </div>
      )}
      {step && (shown("after") || shown("within")) && (
        <div class="sentence sub">
          {shown("after") && <><Word>{t.afterAtLeast}</Word><LengthBox label={t.afterAtLeast} place={at("after")} value={value.after} />{cross(t.removeAfter, "after")}</>}
          {shown("within") && <><Word>{t.within}</Word><LengthBox label={t.within} place={at("within")} value={value.within} />{cross(t.removeWithin, "within")}</>}
        </div>
      )}
      {blocks.map(key => <div class="sub" key={key}><div class="sentence"><Word>{t.also(key)}</Word>{cross(t.removePart(key), key)}</div><JsonBox label={t.also(key)} place={at(key)} value={value[key] ?? null} /></div>)}
      <div class="sentence sub adders">
        {!has("where") && <Adder text={t.addWhere} onAdd={() => change(at("where"), predicate())} />}
        {!has("time") && !(step && "did_not" in value) && <Adder text={t.addTime} onAdd={() => change(at("time"), newTime("in_the_last", "*"))} />}
        {counted && !has("aggregate") && <Adder text={t.addAggregate} onAdd={() => change(at("aggregate"), { fn: "sum", property: offeredProperties(vocabulary, scope).find(each => each.types.includes("number"))?.property ?? "", gte: 1 })} />}
        {counted && !has("per") && <Adder text={t.addPer} onAdd={() => change(place, keepId(value, { ...value, per: "day", periods: { gte: 5 } }))} />}
        {!has("occurrence") && !has("count") && !has("aggregate") && !has("per") && !has("times") && !(step && "did_not" in value) && <Adder text={t.addOccurrence} onAdd={() => change(at("occurrence"), "first")} />}
        {step && between && !has("after") && "did" in value && <Adder text={t.addAfter} onAdd={() => change(at("after"), "1 day")} />}
        {step && between && !has("within") && <Adder text={t.addWithin} onAdd={() => change(at("within"), "7 days")} />}
        {step && "did" in value && !has("times") && !has("as") && !has("occurrence") && <Adder text={t.addTimes} onAdd={() => change(at("times"), 2)} />}
        {extra}
      </div>
    </>
  );
}

export function Did({ value, place, no }: { value: JsonObject; place: Place; no: preact.ComponentChildren }) {
  const { change } = useEdit();
  const key = "did" in value ? "did" : "did_not";
  const events = eventList(value[key]);
  const scope: Scope = { of: "events", events, steps: [] };
  const count: Json | undefined = value.count;
  const rename = (next: string) => change(place, keepId(value, Object.fromEntries(Object.entries(value).map(([each, item]) => [each === key ? next : each, item])) as JsonObject));
  return (
    <>
      <div class="sentence">
        {no}
        <Pick label={t.didOrNot} place={place} value={key} options={[["did", t.did], ["did_not", t.didNot]]} onPick={rename} />
        <EventBox place={[...place, key]} value={value[key]} />
        {count !== undefined && optionIsShown("count", count) && isObject(count) && (
          <><MeasureBoxes value={count} place={[...place, "count"]} /><Word>{t.times}</Word><button class="kebab" type="button" aria-label={t.removeCount} onClick={() => change([...place, "count"], undefined)}><Icon name="cross" /></button></>
        )}
        {count === undefined && value.occurrence === undefined && <Adder text={t.addCount} onAdd={() => change([...place, "count"], { gte: 2 })} />}
      </div>
      <Parts value={value} place={place} scope={scope} />
    </>
  );
}
