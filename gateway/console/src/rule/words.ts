// A rule in words: a sentence in pieces. `strong` is what can be changed, `place` where it stands.
import { figure, isLength, list, words as t } from "../texts";
import { isNumber, isObject, print, type Json, type JsonObject } from "./json";
import { anchorKind, conditionKind, entries, figureKind, groupKey, isOut, measureOf, optionIsShown, predicateKind, timeForm } from "./kinds";
import { findOperator } from "./operators";
import { at, type Place } from "./place";
import { groupOf } from "./tree";
import { eventList, showPath } from "./values";

export interface Piece { text: string; strong?: boolean; place?: Place }

class Sentence {
  readonly pieces: Piece[] = [];
  say(text: string): this {
    if (text) this.pieces.push({ text });
    return this;
  }
  box(text: string, place: Place): this {
    this.pieces.push({ text, strong: true, place });
    return this;
  }
}

/** "Customers who …". */
export function ruleInWords(rule: Json): Piece[] {
  const sentence = new Sentence();
  if (rule === null) return sentence.say(t.nobodyYet).pieces;
  sentence.say(t.customers);
  condition(sentence, rule, [], true);
  return tidy(sentence.say(".").pieces);
}

/** One condition as a folded line and in "why". */
export function conditionInWords(value: Json): Piece[] {
  const sentence = new Sentence();
  condition(sentence, value, [], false);
  return tidy(sentence.pieces);
}

export function plain(pieces: readonly Piece[]): string {
  return pieces.map(piece => piece.text).join("");
}

function tidy(pieces: Piece[]): Piece[] {
  const result: Piece[] = [];
  for (const piece of pieces) {
    const before = result.at(-1);
    if (before && !before.strong && !piece.strong) result[result.length - 1] = { text: before.text + piece.text };
    else result.push(piece);
  }
  return result.map((piece, i) => {
    let text = piece.text.replace(/ {2,}/g, " ");
    if (i > 0 && /\s$/.test(result[i - 1]?.text ?? "")) text = text.replace(/^ /, "");
    return { ...piece, text: text.replace(/ ([,.;:)])/g, "$1") };
  }).map((piece, i, all) => (/^[,.;:)]/.test(all[i + 1]?.text ?? "") ? { ...piece, text: piece.text.trimEnd() } : piece)).filter(piece => piece.text);
}

function condition(s: Sentence, value: Json, place: Place, relative: boolean): void {
  if (isOut(value)) return;
  const kind = conditionKind(value);
  if (!isObject(value)) return void s.say(t.unshown);
  const who = (pronoun: string) => (relative ? s.say(`${pronoun} `) : s);
  switch (kind) {
    case "group": return group(s, value, place, relative);
    case "did": {
      const key = "did" in value ? "did" : "did_not";
      who(t.who).say(key === "did" ? t.did : t.didNot);
      return did(s, value, key, place);
    }
    case "profile":
      who(relative ? t.whose : "").box(showPath(value.profile), [...place, "profile"]).say(" ");
      return comparison(s, value, place);
    case "element":
      who(relative ? t.whose : "").box(showPath(value.profile), [...place, "profile"]).say(t.hasOneWith);
      return predicates(s, value.where, [...place, "where"]);
    case "cohort": return void who(t.who).say(relative ? t.areIn : t.isIn).box(`“${value.cohort as string}”`, [...place, "cohort"]);
    case "sequence": return sequence(who(t.who), value, place);
    case "compare": return compare(who(t.forWhom), value, place);
    case "rank": return rank(who(t.who), value, place, relative);
    case "group of customers": {
      const key = groupKey(value) ?? "any";
      who(t.who).say(relative ? t.share : t.shares).box(showPath(value.group), [...place, "group"]).say(t.with).box(t.groupKeys[key], [...place, key]).say(" ");
      return condition(s, value[key] ?? null, [...place, key], true);
    }
    case "sample": {
      const sample = value.sample as JsonObject;
      const [low, high] = sample.percent as Json[];
      return void who(t.who).say(relative ? t.areInPart : t.isInPart).box(`${figure(low)} to ${figure(high)} %`, [...place, "sample", "percent"])
        .say(t.shuffledBy).box(`“${sample.salt as string}”`, [...place, "sample", "salt"]);
    }
    case "listed":
      who(t.who).say(relative ? t.areListed : t.isListed);
      return rows(s, value.customer_in as JsonObject, [...place, "customer_in"]);
    case "json": return void who(t.who).say(t.match).box(print(value), place);
  }
}

function group(s: Sentence, value: JsonObject, place: Place, relative: boolean): void {
  const found = groupOf(value);
  if (!found) return;
  const kids = found.kids.map(kid => ({ place: [...place, ...kid], value: at(value, kid) ?? null })).filter(kid => !isOut(kid.value));
  if (found.mode === "none") {
    const [kid] = kids;
    s.say(t.notThose);
    if (kids.length === 1 && kid) return condition(s, kid.value, kid.place, true);
  }
  kids.forEach((kid, i) => {
    const inner = groupOf(kid.value);
    const none = inner?.mode === "none";
    if (i > 0) s.say(found.mode === "all" ? (none ? t.but : t.and) : t.or);
    const nested = inner && !none && inner.kids.length > 1;
    if (nested) s.say("(");
    condition(s, kid.value, kid.place, relative || found.mode === "none");
    if (nested) s.say(")");
  });
}

export function eventInWords(value: Json | undefined): string {
  const types = eventList(value);
  return types.includes("*") ? t.anything : list(types, t.orWord);
}

function did(s: Sentence, value: JsonObject, key: "did" | "did_not", place: Place): void {
  const { occurrence } = value;
  const option = (name: string) => (value[name] !== undefined && optionIsShown(name, value[name]) ? value[name] : undefined);
  if (occurrence !== undefined) {
    s.say(t.asThe).box(ordinal(occurrence), [...place, "occurrence"]).say(" ");
  }
  s.box(eventInWords(value[key]), [...place, key]);
  if (option("among") !== undefined) {
    s.say(t.among);
    predicates(s, value.among, [...place, "among"]);
  }
  if (option("where") !== undefined) {
    s.say(occurrence === undefined ? t.where : t.ifIts);
    predicates(s, value.where, [...place, "where"]);
  }
  const count = option("count");
  if (count !== undefined) s.say(" ").box(times(count), [...place, "count"]);
  const aggregate = option("aggregate");
  if (isObject(aggregate)) {
    s.say(t.withThe).box(t.functions[aggregate.fn as string] ?? (aggregate.fn as string), [...place, "aggregate", "fn"]).say(" ")
      .box(showPath(aggregate.property), [...place, "aggregate", "property"]).say(" ").box(measure(aggregate, "fn", "property"), [...place, "aggregate"]);
  }
  for (const each of entries(value.time)) time(s.say(" "), each.value, [...place, "time", ...each.place]);
  const periods = option("periods");
  if (isObject(periods) && typeof value.per === "string") {
    const what = `${measure(periods, "streak")} ${value.per}s`;
    if (periods.streak === "current") s.say(t.in).box(what, [...place, "periods"]).say(t.inARowNow);
    else if (periods.streak === "longest") s.say(t.in).box(what, [...place, "periods"]).say(t.inARow);
    else s.say(t.aPer(value.per)).box(what, [...place, "periods"]);
  }
}

function ordinal(value: Json): string {
  if (value === "first" || value === "last") return value;
  return isObject(value) ? t.nth(figure(value.nth)) : print(value);
}

function times(count: Json): string {
  if (!isObject(count)) return print(count);
  const key = measureOf(count);
  if (key === "gte" && isNumber(count.gte)) {
    if (count.gte.toString() === "1") return t.once;
    if (count.gte.toString() === "2") return t.twice;
  }
  return t.times(measure(count));
}

function measure(value: JsonObject, ...besides: string[]): string {
  const key = measureOf(value, ...besides);
  if (key === undefined) return print(value);
  const operand = value[key];
  if (key === "between") return t.measures.between((operand as Json[]).map(figure));
  if (key === "in") return `${t.operators.in} ${list((operand as Json[]).map(figure), t.orWord)}`;
  return t.measures[key](figure(operand));
}

function predicates(s: Sentence, value: Json | undefined, place: Place): void {
  entries(value).forEach((each, i) => {
    if (i > 0) s.say(t.and);
    predicate(s, each.value, [...place, ...each.place], false);
  });
}

function predicate(s: Sentence, value: Json, place: Place, inner: boolean): void {
  const kind = predicateKind(value);
  if (!isObject(value) || kind === "json") return void s.box(print(value), place);
  switch (kind) {
    case "property":
      s.box(value.property === "." ? t.it : showPath(value.property), [...place, "property"]).say(" ");
      return comparison(s, value, place);
    case "element":
      s.say(t.oneOf).box(value.element === "." ? t.it : showPath(value.element), [...place, "element"]).say(t.has);
      return predicates(s, value.where, [...place, "where"]);
    case "not": s.say(t.not); return predicate(s, value.not as Json, [...place, "not"], true);
    default: {
      const several = (value[kind] as Json[]).length > 1 && (inner || kind === "or");
      if (several) s.say("(");
      (value[kind] as Json[]).forEach((each, i) => {
        if (i > 0) s.say(kind === "and" ? t.and : t.or);
        predicate(s, each, [...place, kind, i], true);
      });
      if (several) s.say(")");
    }
  }
}

function comparison(s: Sentence, value: JsonObject, place: Place): void {
  const operator = findOperator(value.operator);
  const [before, after] = (t.operators[operator?.name ?? ""] ?? String(value.operator)).split("…");
  s.say(`${before ?? ""} `);
  if (value.ref !== undefined) s.box(refInWords(value.ref), [...place, "ref"]);
  else if (isObject(value.rows)) rows(s.say(t.aValueOf), value.rows, [...place, "rows"]);
  else if (value.value !== undefined) s.box(valueInWords(value.value, operator?.takes === "range" ? t.andWord : t.orWord), [...place, "value"]);
  s.say(after ?? "");
  if (value.ignore_case === true || value.operator === "icontains") s.say(t.ignoringCase);
}

export function valueInWords(value: Json, join: string): string {
  return Array.isArray(value) ? list(value.slice(0, 20).map(figure).concat(value.length > 20 ? [t.more(value.length - 20)] : []), join) : figure(value);
}

export function refInWords(ref: Json): string {
  const [scope, ...path] = typeof ref === "string" ? ref.split(/\.(.*)/s) : (ref as string[]);
  const rest = path.filter(Boolean).join(".");
  return t.refs[scope ?? ""]?.(rest) ?? t.refs.step?.(rest, scope) ?? showPath(ref);
}

function rows(s: Sentence, value: JsonObject, place: Place): void {
  s.box(String(value.table), [...place, "table"]).say(t.column).box(String(value.column), [...place, "column"]);
  if (value.where !== undefined) {
    s.say(t.where);
    predicates(s, value.where, [...place, "where"]);
  }
}

export function time(s: Sentence, value: Json, place: Place): void {
  const form = timeForm(value);
  if (form === "json" || !isObject(value)) return void s.box(print(value), place);
  const own = value[form];
  const pair = Array.isArray(own) ? own.map(figure) : [];
  switch (form) {
    case "in_the_last": return void s.say(t.inTheLast).box(figure(own), [...place, form]);
    case "more_than_ago": return void s.say(t.moreThan).box(figure(own), [...place, form]).say(t.ago);
    case "between_ago": return void s.say(t.between).box(list(pair, t.andWord), [...place, form]).say(t.ago);
    case "this": return void s.say(t.this).box(figure(own), [...place, form]);
    case "previous": return void s.say(isLength(own) ? t.inThePreviousSeveral : t.inThePrevious).box(figure(own), [...place, form]);
    case "since": return void s.say(t.since).box(figure(own), [...place, form]);
    case "before": return void s.say(t.before).box(figure(own), [...place, form]);
    case "between": return void s.say(t.from).box(pair.join(t.to), [...place, form]);
    case "weekday": return void s.say(t.on).box(list((Array.isArray(own) ? own : [own]).map(day => t.weekdays[String(day)] ?? String(day)), t.orWord), [...place, form]);
    case "hours": return void s.say(t.from).box(pair.join(t.to), [...place, form]);
    case "from": case "until":
      if (value.within !== undefined) s.say(t.within).box(figure(value.within), [...place, "within"]).say(" ");
      s.say(form === "from" ? t.afterTheir : t.beforeTheir);
      return anchor(s, own as JsonObject, [...place, form]);
  }
}

function anchor(s: Sentence, value: JsonObject, place: Place): void {
  const kind = anchorKind(value);
  if (kind === "profile") return void s.box(showPath(value.profile), [...place, "profile"]);
  if (kind === "json") return void s.box(print(value), place);
  s.say(`${kind} `).box(eventInWords(value[kind]), [...place, kind]);
  if (value.where !== undefined) {
    s.say(t.where);
    predicates(s, value.where, [...place, "where"]);
  }
}

function sequence(s: Sentence, value: JsonObject, place: Place): void {
  s.say(t.inOrder);
  (value.sequence as Json[]).forEach((step, i) => {
    const here = [...place, "sequence", i];
    if (i > 0) s.say(t.then);
    if (!isObject(step)) return void s.box(print(step), here);
    const key = "did" in step ? "did" : "did_not";
    if (key === "did_not") s.say(t.no);
    did(s, step, key, here);
    if (typeof step.as === "string") s.say(` (${step.as})`);
    if (step.times !== undefined) s.say(" ").box(t.timesInARow(figure(step.times)), [...here, "times"]);
    if (step.after !== undefined) s.say(t.after).box(figure(step.after), [...here, "after"]);
    if (step.within !== undefined) s.say(t.within).box(figure(step.within), [...here, "within"]);
  });
  if (value.within !== undefined) s.say(t.allWithin).box(figure(value.within), [...place, "within"]);
}

export function figureInWords(s: Sentence, value: Json | undefined, place: Place): void {
  if (value === undefined) return;
  const kind = figureKind(value);
  if (kind === "number" || kind === "json" || !isObject(value)) return void s.box(figure(value), place);
  if (kind === "profile") return void s.box(showPath(value.profile), [...place, "profile"]);
  const aggregate = value.aggregate as JsonObject | undefined;
  if (aggregate) {
    s.box(t.functions[aggregate.fn as string] ?? String(aggregate.fn), [...place, "aggregate", "fn"]).say(" ").box(showPath(aggregate.property), [...place, "aggregate", "property"]).say(t.of);
  } else s.say(t.numberOf);
  s.box(eventInWords(value.did), [...place, "did"]);
  if (value.where !== undefined) {
    s.say(t.where);
    predicates(s, value.where, [...place, "where"]);
  }
  for (const each of entries(value.time)) time(s.say(" "), each.value, [...place, "time", ...each.place]);
}

function compare(s: Sentence, value: JsonObject, place: Place): void {
  figureInWords(s, value.compare, [...place, "compare"]);
  s.say(" ").box(t.operators[findOperator(value.operator)?.name ?? ""] ?? String(value.operator), [...place, "operator"]).say(" ");
  if (value.factor !== undefined) s.box(figure(value.factor), [...place, "factor"]).say(" × ");
  figureInWords(s, value.to, [...place, "to"]);
  if (value.over !== undefined) s.say(t.overAll).box(showPath(value.over), [...place, "over"]);
}

function rank(s: Sentence, value: JsonObject, place: Place, relative: boolean): void {
  s.say(relative ? t.areAmong : t.isAmong);
  if (value.top !== undefined) s.box(t.top(figure(value.top)), [...place, "top"]);
  else s.box(t.part((value.percent as Json[]).map(figure)), [...place, "percent"]);
  if (value.by !== undefined) s.say(t.perGroup).box(showPath(value.by), [...place, "by"]);
  s.say(t.by).box(t.orders[value.order as string] ?? String(value.order), [...place, "order"]).say(" ");
  figureInWords(s, value.rank, [...place, "rank"]);
  if (value.of !== undefined) {
    s.say(t.ofThose);
    condition(s, value.of, [...place, "of"], true);
  }
}
