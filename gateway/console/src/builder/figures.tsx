// Figures: what compare holds against one another and rank orders by.
import { builder as t, words } from "../texts";
import { isObject, type Json, type JsonObject } from "../rule/json";
import { figureKind } from "../rule/kinds";
import { COMPARISONS, findOperator, FUNCTIONS } from "../rule/operators";
import { keepId, type Place } from "../rule/place";
import { eventList } from "../rule/values";
import { Icon } from "../parts/icons";
import { Adder, EventBox, JsonBox, Pick, PropertyBox, TextBox, textOf, Word } from "./boxes";
import { offeredProperties, profileScope, useEdit, type Scope } from "./edit";
import { newPredicate, Where } from "./predicates";
import { newTime, Times } from "./time";

const FIGURE_FUNCTIONS = FUNCTIONS.filter(fn => fn !== "most_frequent");

export function Figure({ value, place, label, numbers }: { value: Json | undefined; place: Place; label: string; numbers: boolean }) {
  const { change, vocabulary } = useEdit();
  const kind = figureKind(value);
  if (kind === "json" || value === undefined) return <JsonBox label={t.partAsJson} place={place} value={value ?? null} />;
  const own = isObject(value) ? value : {};
  const aggregate = isObject(own.aggregate) ? own.aggregate : undefined;
  const events = eventList(own.did);
  const scope: Scope = { of: "events", events, steps: [] };
  const number = (each: { types: string[] }) => each.types.includes("number");
  const pick = (next: string) => {
    const did = own.did ?? vocabulary.events[0]?.event_type ?? "*";
    const others: JsonObject = { did, ...(own.where === undefined ? {} : { where: own.where }), ...(own.time === undefined ? {} : { time: own.time }) };
    if (next === "number") change(place, 1);
    else if (next === "profile") change(place, { profile: offeredProperties(vocabulary, profileScope).find(number)?.property ?? "" });
    else if (next === "count") change(place, keepId(value, others));
    else change(place, keepId(value, { ...others, aggregate: { fn: next, property: aggregate?.property ?? offeredProperties(vocabulary, scope).find(number)?.property ?? "" } }));
  };
  const chosen = kind === "events" ? (aggregate ? textOf(aggregate.fn) : "count") : kind;
  const options: (readonly [string, string])[] = [
    ["count", t.numberOf], ...FIGURE_FUNCTIONS.map(fn => [fn, words.functions[fn] ?? fn] as const), ["profile", t.profileNumber], ...(numbers ? [["number", t.number] as const] : []),
  ];
  return (
    <div class="sub">
      <div class="sentence">
        <Pick label={label} place={place} value={chosen} options={options} onPick={pick} />
        {kind === "number" && <TextBox label={t.number} place={place} value={value} />}
        {kind === "profile" && <PropertyBox place={[...place, "profile"]} value={own.profile} scope={profileScope} />}
        {aggregate && <><PropertyBox place={[...place, "aggregate", "property"]} value={aggregate.property} scope={scope} /><Word>{t.of}</Word></>}
        {kind === "events" && <EventBox place={[...place, "did"]} value={own.did} />}
        {kind === "events" && own.where === undefined && <Adder text={t.addWhere} onAdd={() => change([...place, "where"], newPredicate(scope, offeredProperties(vocabulary, scope)))} />}
        {kind === "events" && own.time === undefined && <Adder text={t.addTime} onAdd={() => change([...place, "time"], newTime("in_the_last", events[0] ?? "*"))} />}
      </div>
      {own.where !== undefined && <Where value={own.where} place={[...place, "where"]} scope={scope} />}
      {own.time !== undefined && <Times value={own.time} place={[...place, "time"]} events={events} />}
    </div>
  );
}

export function Compare({ value, place, no }: { value: JsonObject; place: Place; no: preact.ComponentChildren }) {
  const { change } = useEdit();
  const at = (key: string) => [...place, key];
  return (
    <>
      <div class="sentence">{no}<Word>{t.compare}</Word></div>
      <Figure value={value.compare} place={at("compare")} label={t.oneFigure} numbers />
      <div class="sentence sub">
        <Pick label={t.comparison} place={at("operator")} value={findOperator(value.operator)?.name ?? textOf(value.operator)} options={COMPARISONS.map(each => [each, words.operators[each] ?? each])} onPick={next => change(at("operator"), next)} />
        {value.factor === undefined ? <Adder text={t.addFactor} onAdd={() => change(at("factor"), 1)} />
          : <><TextBox label={t.factor} place={at("factor")} value={value.factor} /><Word>×</Word><button class="kebab" type="button" aria-label={t.removeFactor} onClick={() => change(at("factor"), undefined)}><Icon name="cross" /></button></>}
      </div>
      <Figure value={value.to} place={at("to")} label={t.otherFigure} numbers />
      <div class="sentence sub">
        {value.over === undefined ? <Adder text={t.addOver} onAdd={() => change(at("over"), "")} />
          : <><Word>{t.overAll}</Word><PropertyBox place={at("over")} value={value.over} scope={profileScope} /><button class="kebab" type="button" aria-label={t.removeOver} onClick={() => change(at("over"), undefined)}><Icon name="cross" /></button></>}
      </div>
    </>
  );
}

export function Rank({ value, place, no }: { value: JsonObject; place: Place; no: preact.ComponentChildren }) {
  const { change } = useEdit();
  const at = (key: string) => [...place, key];
  const [low, high] = Array.isArray(value.percent) ? value.percent : [];
  const cut = (next: string) => {
    const others = { ...value };
    delete others.top;
    delete others.percent;
    change(place, keepId(value, next === "top" ? { ...others, top: 1000 } : { ...others, percent: [0, 20] }));
  };
  return (
    <>
      <div class="sentence">
        {no}<Word>{t.isAmong}</Word>
        <Pick label={t.cut} place={place} value={value.top === undefined ? "percent" : "top"} options={[["top", t.first], ["percent", t.part]]} onPick={cut} />
        {value.top !== undefined && <TextBox label={t.number} place={at("top")} value={value.top} />}
        {value.percent !== undefined && <><TextBox label={t.from} place={[...at("percent"), 0]} value={low} /><Word>{t.toWord}</Word><TextBox label={t.to} place={[...at("percent"), 1]} value={high} /><Word>%</Word></>}
        {value.by === undefined ? <Adder text={t.addBy} onAdd={() => change(at("by"), "city")} />
          : <><Word>{t.perWord}</Word><PropertyBox place={at("by")} value={value.by} scope={profileScope} /><button class="kebab" type="button" aria-label={t.removeBy} onClick={() => change(at("by"), undefined)}><Icon name="cross" /></button></>}
        <Word>{t.byThe}</Word>
        <Pick label={t.order} place={at("order")} value={textOf(value.order)} options={[["most", t.most], ["least", t.least]]} onPick={next => change(at("order"), next)} />
      </div>
      <Figure value={value.rank} place={at("rank")} label={t.oneFigure} numbers={false} />
    </>
  );
}
