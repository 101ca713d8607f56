// where: conditions on the data of an event, a profile, an element of an array, or a row.
import { builder as t, words } from "../texts";
import { isObject, type Json, type JsonObject } from "../rule/json";
import { entries, predicateKind } from "../rule/kinds";
import { findOperator, OPERATORS, SHORT_UNITS, UNITS, type Operator } from "../rule/operators";
import { keepId, type Place } from "../rule/place";
import { showPath, withEntries } from "../rule/values";
import type { Property } from "../api";
import { Icon } from "../parts/icons";
import { Menu, type MenuItem } from "../parts/parts";
import { Adder, JsonBox, LengthBox, NameBox, PATH, Pick, PropertyBox, TextBox, ValueBox, ValuesBox, Word } from "./boxes";
import { offeredProperties, rowScope, useEdit, type Edit, type Scope } from "./edit";

const GROUPS = [["and", t.allOf], ["or", t.anyOf], ["not", t.noneOf]] as const;
const THEMES = ["any", "number", "text", "list", "date"] as const;
const OPERATOR_OPTIONS = THEMES.flatMap(theme => OPERATORS.filter(each => each.theme === theme).map(each => [each.name, (words.operators[each.name] ?? each.name).replace(" …", "")] as const));

export function newPredicate(scope: Scope, properties: readonly { property: Json }[]): JsonObject {
  return { property: properties[0]?.property ?? (scope.of === "element" ? "." : ""), operator: "eq", value: "" };
}

/** A list of predicates that must all hold; one alone is written without a list. */
export function Where({ value, place, scope, word = t.where }: { value: Json | undefined; place: Place; scope: Scope; word?: string }) {
  const { change, vocabulary } = useEdit();
  const rows = entries(value);
  const set = (list: Json[]) => change(place, withEntries(value, list));
  const add = (item: Json) => set([...rows.map(row => row.value), item]);
  return (
    <>
      {rows.map((row, i) => (
        <Predicate
          key={row.place[0] ?? 0} value={row.value} place={[...place, ...row.place]} scope={scope} word={i === 0 ? word : t.and}
          onRemove={() => set(rows.filter((_, k) => k !== i).map(each => each.value))}
          items={[
            { text: t.addEither, act: () => add({ or: [newPredicate(scope, offeredProperties(vocabulary, scope))] }) },
            { text: t.addElement, act: () => add({ element: firstArray(offeredProperties(vocabulary, scope)), where: [{ property: ".", operator: "eq", value: "" }] }) },
          ]}
          end={i === rows.length - 1 && <Adder text={t.addWhere} onAdd={() => add(newPredicate(scope, offeredProperties(vocabulary, scope)))} />}
        />
      ))}
    </>
  );
}

function firstArray(properties: readonly Property[]): Json {
  return properties.find(each => each.types.includes("array"))?.property ?? "items";
}

function Predicate({ value, place, scope, word, onRemove, items = [], end }: { value: Json; place: Place; scope: Scope; word: string; onRemove: () => void; items?: MenuItem[]; end?: preact.ComponentChildren }) {
  const { change, vocabulary } = useEdit();
  const kind = predicateKind(value);
  const own = kind === "property" && isObject(value) ? comparisonItems(value, place, scope, change) : [];
  const takeOut = <Menu label={t.moreForWhere} class="kebab" left button={<Icon name="more" />} items={[...own, ...items, { text: t.removeIt, act: onRemove }]} />;
  if (kind === "json" || !isObject(value)) {
    return <div class="sub"><div class="sentence"><Word>{word}</Word>{takeOut}{end}</div><JsonBox label={t.partAsJson} place={place} value={value} /></div>;
  }
  if (kind === "property") {
    return (
      <div class="sentence sub">
        <Word>{word}</Word>
        <PropertyBox place={[...place, "property"]} value={value.property} scope={scope} />
        <Comparison value={value} place={place} scope={scope} property={value.property} />
        {takeOut}{end}
      </div>
    );
  }
  if (kind === "element") {
    const inner: Scope = { ...scope, of: "element", array: showPath(value.element) };
    return (
      <div class="sub">
        <div class="sentence"><Word>{word}</Word><Word>{t.oneOf}</Word><PropertyBox place={[...place, "element"]} value={value.element} scope={scope} label={t.array} />{takeOut}{end}</div>
        <div class="nested"><Where value={value.where} place={[...place, "where"]} scope={inner} word={t.has} /></div>
      </div>
    );
  }
  const kids = kind === "not" ? [value.not as Json] : (value[kind] as Json[]);
  const regroup = (next: string) => {
    const flat = kind === "not" && isObject(kids[0]) && Array.isArray(kids[0].or) && Object.keys(kids[0]).length === 1 ? (kids[0].or as Json[]) : kids;
    const [only] = flat;
    if (next === "not") change(place, keepId(value, { not: flat.length === 1 && only !== undefined ? only : { or: flat } }));
    else change(place, keepId(value, { [next]: flat }));
  };
  const listPlace = kind === "not" ? [...place, "not"] : [...place, kind];
  return (
    <div class="sub">
      <div class="sentence"><Word>{word}</Word><Pick label={t.howTheseCombine} place={place} value={kind} options={GROUPS} onPick={regroup} />{takeOut}{end}</div>
      <div class="nested">
        {kids.map((kid, i) => (
          <Predicate
            key={i} value={kid} place={kind === "not" ? listPlace : [...listPlace, i]} scope={scope} word={i === 0 ? "" : kind === "or" ? t.or : t.and}
            onRemove={() => (kind === "not" || kids.length === 1 ? onRemove() : change(listPlace, keepId(value[kind], kids.filter((_, k) => k !== i))))}
            end={kind !== "not" && i === kids.length - 1 && (
              <Adder text={kind === "or" ? t.addOr : t.addAnd} onAdd={() => change(listPlace, keepId(value[kind], [...kids, newPredicate(scope, offeredProperties(vocabulary, scope))]))} />
            )}
          />
        ))}
      </div>
    </div>
  );
}

const TODAY = () => new Date().toISOString().slice(0, 10);

/** The value that goes with an operator, as near to the old one as it can be. */
function converted(value: JsonObject, operator: Operator): JsonObject {
  const next: JsonObject = { ...value, operator: operator.name };
  if (!operator.folds) delete next.ignore_case;
  if (next.ref !== undefined && !operator.refers) delete next.ref;
  if (next.rows !== undefined && !operator.rows) delete next.rows;
  const before = findOperator(value.operator);
  if (next.ref !== undefined || next.rows !== undefined || (before?.takes === operator.takes && value.value !== undefined)) return keepId(value, next);
  const old = Array.isArray(value.value) ? value.value[0] : value.value;
  const kept = before && ["scalar", "ordered", "list", "text", "range", "pattern"].includes(before.takes) ? old : undefined;
  switch (operator.takes) {
    case "nothing": delete next.value; break;
    case "list": next.value = kept === undefined || kept === "" ? [] : [kept]; break;
    case "range": next.value = [kept ?? 0, kept ?? 0]; break;
    case "interval": next.value = "30 days"; break;
    case "unit": case "units": case "short unit": next.value = "month"; break;
    case "date": next.value = TODAY(); break;
    case "text": case "pattern": next.value = typeof kept === "string" ? kept : showPath(kept ?? ""); break;
    default: next.value = kept ?? "";
  }
  return keepId(value, next);
}

/** What can be done to a comparison besides changing its boxes. */
export function comparisonItems(value: JsonObject, place: Place, scope: Scope, change: Edit["change"]): MenuItem[] {
  const operator = findOperator(value.operator);
  const without = (...keys: string[]) => Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key))) as JsonObject;
  const set = (next: JsonObject) => change(place, keepId(value, next));
  const items: MenuItem[] = [];
  if (value.ref !== undefined || value.rows !== undefined) items.push({ text: t.useValue, act: () => set({ ...without("ref", "rows"), value: operator?.takes === "list" ? [] : "" }) });
  else {
    if (operator?.refers) items.push({ text: t.addReference, act: () => set({ ...without("value"), ref: { profile: "profile.", row: "row.", events: "event.", element: "element." }[scope.of] }) });
    if (operator?.rows && scope.of !== "row") items.push({ text: t.addRows, act: () => set({ ...without("value"), rows: { table: "", column: "" } }) });
  }
  if (operator?.folds) {
    const folds = value.ignore_case === true || value.operator === "icontains";
    items.push({ text: folds ? t.minCase : t.foldCase, act: () => set(folds ? { ...without("ignore_case"), operator: operator.name } : { ...value, operator: operator.name, ignore_case: true }) });
  }
  return items;
}

/** The operator and what it is held against: a value, another property, or rows of a table. */
export function Comparison({ value, place, scope, property }: { value: JsonObject; place: Place; scope: Scope; property: Json | undefined }) {
  const { change } = useEdit();
  const operator = findOperator(value.operator);
  const at = (key: string) => [...place, key];
  const pick = (name: string) => {
    const next = OPERATORS.find(each => each.name === name);
    if (next) change(place, converted(value, next));
  };
  const compared = value.ref !== undefined || value.rows !== undefined;
  return (
    <>
      <Pick label={t.comparison} place={at("operator")} value={operator?.name ?? textOfOperator(value.operator)} options={OPERATOR_OPTIONS} onPick={pick} />
      {value.ref !== undefined && <Reference value={value.ref} place={at("ref")} scope={scope} />}
      {!compared && operator && <Operand operator={operator} value={value.value} place={at("value")} scope={scope} property={property} />}
      {operator?.name === "more_than_ago" && <Word>{t.ago}</Word>}
      {(value.ignore_case === true || value.operator === "icontains") && <Word>{t.anyCase}</Word>}
      {isObject(value.rows) && <div class="nested"><Rows value={value.rows} place={at("rows")} /></div>}
    </>
  );
}

function textOfOperator(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function Operand({ operator, value, place, scope, property }: { operator: Operator; value: Json | undefined; place: Place; scope: Scope; property: Json | undefined }) {
  const { change } = useEdit();
  switch (operator.takes) {
    case "nothing": return null;
    case "list": return <ValuesBox place={place} value={Array.isArray(value) ? value : []} scope={scope} property={property} />;
    case "range": {
      const [low, high] = Array.isArray(value) ? value : [];
      return <><TextBox label={t.from} place={[...place, 0]} value={low} /><Word>{t.and}</Word><TextBox label={t.to} place={[...place, 1]} value={high} /></>;
    }
    case "interval": return <LengthBox label={t.length} place={place} value={value} />;
    case "unit": return <Pick label={t.unit} place={place} value={textOfOperator(value)} options={UNITS.map(unit => [unit, unit])} onPick={next => change(place, next)} />;
    case "short unit": return <Pick label={t.unit} place={place} value={textOfOperator(value)} options={SHORT_UNITS.map(unit => [unit, unit])} onPick={next => change(place, next)} />;
    case "units": return <LengthBox label={t.unit} place={place} value={value} offers={[...UNITS, "2 weeks", "3 months"]} />;
    case "date": return <TextBox label={t.date} place={place} value={value} text />;
    case "text": case "pattern": return <ValueBox place={place} value={value} scope={scope} property={property} text />;
    default: return <ValueBox place={place} value={value} scope={scope} property={property} />;
  }
}

/** Another property: the event's, the customer's, an earlier step's. */
function Reference({ value, place, scope }: { value: Json; place: Place; scope: Scope }) {
  const { change } = useEdit();
  const text = showPath(value);
  const own = Array.isArray(value) ? undefined : /^([^.]*)\.?(.*)$/s.exec(text);
  if (!own) return <NameBox label={t.otherProperty} place={place} value={value} offers={[]} as={PATH} />;
  const [, head = "", rest = ""] = own;
  const scopes = [
    ...(scope.of === "profile" || scope.of === "row" ? [] : [["event", t.theEvents] as const]), ...(scope.of === "row" ? [["row", t.theRows] as const] : [["profile", t.theCustomers] as const]),
    ...(scope.of === "element" ? [["element", t.theElements] as const] : []), ...scope.steps.map(step => [step, t.stepOf(step)] as const),
  ];
  const inner: Scope = head === "profile" ? { of: "profile", events: [], steps: [] } : { ...scope, of: head === "row" ? "row" : "events" };
  return (
    <>
      <Pick label={t.whose} place={place} value={head} options={scopes} onPick={next => change(place, `${next}.${rest}`)} />
      <ReferencePath place={place} head={head} rest={rest} scope={inner} />
    </>
  );
}

function ReferencePath({ place, head, rest, scope }: { place: Place; head: string; rest: string; scope: Scope }) {
  const { vocabulary } = useEdit();
  const offers = offeredProperties(vocabulary, scope).map(each => ({ text: showPath(each.property) }));
  const read = (text: string) => (text === "" ? `${head}.` : `${head}.${text.startsWith(`${head}.`) ? text.slice(head.length + 1) : text}`);
  return <NameBox label={t.otherProperty} place={place} value={`${head}.${rest}`} offers={offers} as={{ show: () => rest, read }} />;
}

export function Rows({ value, place }: { value: JsonObject; place: Place }) {
  const { change } = useEdit();
  return (
    <>
      <div class="sentence">
        <Word>{t.table}</Word><TextBox label={t.table} place={[...place, "table"]} value={value.table} text placeholder="shop.vip" />
        <Word>{t.column}</Word><TextBox label={t.column} place={[...place, "column"]} value={value.column} text placeholder="customer_id" />
        {value.where === undefined && <Adder text={t.addWhere} onAdd={() => change([...place, "where"], { property: "", operator: "eq", value: "" })} />}
      </div>
      {value.where !== undefined && <Where value={value.where} place={[...place, "where"]} scope={rowScope} />}
    </>
  );
}
