import assert from "node:assert/strict";
import test from "node:test";
import { isObject, isScalar, isTexts, parse, pretty, print, same, type Json } from "../src/rule/json";
import { blocks, conditionKind } from "../src/rule/kinds";
import { at, placeText, put, readPlace, type Place } from "../src/rule/place";
import * as tree from "../src/rule/tree";
import { eventList, readPath, readValue, showPath, showValue, withEvents, withEntries } from "../src/rule/values";
import { conditionInWords, plain, ruleInWords } from "../src/rule/words";
import { changesOf, merge } from "../src/builder/merge";
import { repairOf } from "../src/builder/repair-of";
import { eventTypesOf, silentSince } from "../src/parts/because";
import { templates } from "../src/templates";
import { change, share } from "../src/texts";
import { documented, foreign, kinds, random } from "./rules";

const sources: [string, Json[]][] = [
  ["docs/RULES.md", documented("RULES.md")],
  ["docs/RECIPES.md", documented("RECIPES.md")],
  ["every kind", kinds],
  ["random rules", random()],
];

function everyPart(value: Json, visit: (part: Json, place: Place) => void, place: Place = []): void {
  visit(value, place);
  if (Array.isArray(value)) value.forEach((item, i) => everyPart(item, visit, [...place, i]));
  else if (isObject(value)) for (const [key, item] of Object.entries(value)) everyPart(item, visit, [...place, key]);
}

function unchanged(after: Json, before: Json, what: string): void {
  assert.ok(same(after, before), `${what}\n  before ${print(before)}\n  after  ${print(after)}`);
}

for (const [name, rules] of sources) {
  test(`${name}: there are rules`, () => assert.ok(rules.length >= 15, `${rules.length}`));

  test(`${name}: JSON is written as it was read`, () => {
    for (const rule of rules) {
      unchanged(parse(print(rule)), rule, "print");
      unchanged(parse(pretty(rule)), rule, "pretty");
    }
  });

  test(`${name}: the form shows every part, none as a block of JSON`, () => {
    for (const rule of rules) assert.deepEqual(blocks(rule).map(placeText), [], print(rule));
  });

  test(`${name}: a draft that nobody changed is its rule`, () => {
    for (const rule of rules) assert.equal(tree.ruleOf(rule), rule);
  });

  test(`${name}: every box reads what it shows`, () => {
    for (const rule of rules) {
      everyPart(rule, (part, place) => {
        if (isScalar(part)) unchanged(readValue(showValue(part)), part, `value ${placeText(place)}`);
        if (typeof part === "string" || (isTexts(part) && part.length > 0)) {
          unchanged(readPath(showPath(part)), part, `path ${placeText(place)}`);
          unchanged(withEvents(part, eventList(part)), part, `events ${placeText(place)}`);
        }
        if (isObject(part) || Array.isArray(part)) {
          const list = Array.isArray(part) ? part : [part];
          if (list.length > 0) unchanged(withEntries(part, list) ?? null, part, `entries ${placeText(place)}`);
        }
        assert.deepEqual(readPlace(placeText(place)), place);
        unchanged(put(rule, place, part) ?? null, rule, `put ${placeText(place)}`);
      });
    }
  });

  test(`${name}: what is done with a condition and undone leaves the rule`, () => {
    for (const rule of rules) {
      const conditions = tree.numbered(rule);
      assert.ok(conditions.length > 0, print(rule));
      assert.equal(new Set(conditions.map(each => each.no)).size, conditions.length);
      for (const { place, value, no } of conditions) {
        assert.equal(tree.conditionAt(rule, place)?.no, no);
        if (conditionKind(value) !== "group") unchanged(tree.opposite(tree.opposite(rule, place), place), rule, `opposite ${no}`);
        const group = tree.groupOf(value);
        if (group && group.mode !== "none") {
          unchanged(tree.setMode(tree.setMode(rule, place, group.mode === "all" ? "any" : "all"), place, group.mode), rule, `mode ${no}`);
        }
        for (const by of [1, -1] as const) {
          const moved = tree.move(rule, place, by);
          if (moved.place !== place) unchanged(tree.move(moved.draft, moved.place, by === 1 ? -1 : 1).draft, rule, `move ${no}`);
        }
        if (!tree.isFree(place) || place.length === 0) continue;
        const out = tree.leaveOut(rule, place);
        unchanged(tree.leaveOut(out, place), rule, `leave out ${no}`);
        const kept = tree.ruleOf(out);
        everyPart(kept, (part, at_) => unchanged(at(out, tree.draftPlace(kept, at_)) ?? null, at(out, tree.draftPlace(kept, at_)) === undefined ? part : at(out, tree.draftPlace(kept, at_)) ?? null, no));
        if (typeof place.at(-1) === "number") {
          const copied = tree.duplicate(rule, place);
          unchanged(at(copied.draft, copied.place) ?? null, value, `duplicate ${no}`);
          unchanged(tree.remove(copied.draft, copied.place), rule, `remove the copy of ${no}`);
        }
      }
    }
  });

  test(`${name}: words name only what is there`, () => {
    for (const rule of rules) {
      const pieces = ruleInWords(rule);
      const text = plain(pieces);
      assert.match(text, /^Customers \S.*\.$/s, print(rule));
      assert.doesNotMatch(text, /undefined|\[object/, `${text}\n${print(rule)}`);
      for (const piece of pieces) if (piece.place) assert.notEqual(at(rule, piece.place), undefined, placeText(piece.place));
      for (const { value } of tree.numbered(rule)) assert.notEqual(plain(conditionInWords(value)), "");
    }
  });
}

test("what the form cannot show is a block, and everything else is not", () => {
  for (const [text, places] of foreign) assert.deepEqual(blocks(parse(text)).map(placeText), places, text);
});

test("places of a rule with conditions left out are found in the draft", () => {
  const draft = parse('{"and": [{"$out": {"did": "a"}}, {"or": [{"did": "b"}, {"$out": {"did": "c"}}, {"did": "d"}]}]}');
  const rule = tree.ruleOf(draft);
  unchanged(rule, parse('{"and": [{"or": [{"did": "b"}, {"did": "d"}]}]}'), "rule");
  assert.equal(placeText(tree.draftPlace(rule, ["and", 0, "or", 1, "did"])), "$.and[1].or[2].did");
  unchanged(tree.ruleOf(parse('{"timezone": "UTC", "and": [{"$out": {"did": "a"}}]}')), null, "nothing left");
  unchanged(tree.ruleOf(parse('{"and": [{"did": "b"}, {"not": {"or": [{"$out": {"did": "a"}}]}}]}')), parse('{"and": [{"did": "b"}]}'), "an empty group goes");
});

test("conditions are added, removed and grouped", () => {
  const a = parse('{"did": "a"}'), b = parse('{"did": "b"}'), zone = parse('{"timezone": "Asia/Kolkata", "did": "a"}');
  unchanged(tree.addTo(null, [], a), parse('{"and": [{"did": "a"}]}'), "first");
  unchanged(tree.addTo(zone, [], b), parse('{"timezone": "Asia/Kolkata", "and": [{"did": "a"}, {"did": "b"}]}'), "second");
  unchanged(tree.addTo(parse('{"not": {"did": "a"}}'), [], b), parse('{"not": {"or": [{"did": "a"}, {"did": "b"}]}}'), "none of");
  unchanged(tree.remove(parse('{"and": [{"or": [{"did": "a"}]}, {"did": "b"}]}'), ["and", 0, "or", 0]), parse('{"and": [{"did": "b"}]}'), "the last of a group");
  unchanged(tree.remove(parse('{"and": [{"not": {"did": "a"}}]}'), ["and", 0, "not"]), null, "the last of all");
  unchanged(tree.wrap(zone, []).draft, parse('{"timezone": "Asia/Kolkata", "or": [{"did": "a"}]}'), "wrap the top");
  unchanged(tree.setMode(zone, [], "none"), parse('{"timezone": "Asia/Kolkata", "not": {"or": [{"did": "a"}]}}'), "mode of a single condition");
});

test("a rule in words reads as it is meant", () => {
  const said = (text: string) => plain(ruleInWords(parse(text)));
  assert.equal(
    said('{"and": [{"did": "purchase", "count": {"gte": 2}, "where": [{"property": "brand", "operator": "in", "value": ["Kalpa", "Tamra"]}, {"property": "price", "operator": "gt", "value": 1000}], "time": {"in_the_last": "90 days"}}, {"profile": "city", "operator": "eq", "value": "Pune"}, {"not": {"did": "purchase", "time": {"in_the_last": "3 weeks"}}}]}'),
    "Customers who did purchase where brand is any of Kalpa or Tamra and price is more than 1,000 at least twice in the last 90 days and whose city is Pune but not those who did purchase in the last 3 weeks.",
  );
  assert.equal(
    said('{"sequence": [{"did": "cart", "as": "c"}, {"did_not": "purchase", "where": {"property": "productId", "operator": "eq", "ref": "c.productId"}}], "within": "1 day"}'),
    "Customers who did in this order: cart (c), then no purchase where productId is the productId of c, all within 1 day.",
  );
});

test("two people's changes meet where they touch different conditions", () => {
  const base = parse('{"and": [{"did": "a"}, {"did": "b"}]}');
  const mine = parse('{"and": [{"did": "a", "count": {"gte": 2}}, {"did": "b"}]}');
  const theirs = parse('{"and": [{"did": "a"}, {"did": "c"}]}');
  unchanged(merge(base, mine, theirs) ?? null, parse('{"and": [{"did": "c"}, {"did": "a", "count": {"gte": 2}}]}'), "both");
  assert.equal(merge(base, mine, parse('{"and": [{"did": "a", "count": {"gte": 3}}, {"did": "b"}]}')), undefined);
  assert.equal(merge(base, mine, parse('{"or": [{"did": "a"}, {"did": "b"}]}')), undefined);
  assert.deepEqual(changesOf(base, theirs), { added: [parse('{"did": "c"}')], removed: [parse('{"did": "b"}')] });
});

test("a hint of the database becomes a button that mends", () => {
  const mend = (rule: string, path: string, problem: string, hint: string) => {
    const draft = parse(rule);
    const repair = repairOf(draft, { path, problem, hint, place: readPlace(path) });
    return repair && put(draft, repair.place, repair.value);
  };
  unchanged(mend('{"did": "a", "where": {"property": "p", "operator": "gtt", "value": 1}}', "$.where.operator", 'unknown operator "gtt"', 'Did you mean "gt"?') ?? null, parse('{"did": "a", "where": {"property": "p", "operator": "gt", "value": 1}}'), "operator");
  unchanged(mend('{"dd": "a"}', "$.dd", 'unknown key "dd"', 'Did you mean "did"?') ?? null, parse('{"did": "a"}'), "key");
  unchanged(mend('{"did": "a", "time": {"in_the_last": "3 weks"}}', "$.time.in_the_last", '"3 weks" is not an interval: unknown unit "weks"', "Write whole numbers with units.") ?? null, parse('{"did": "a", "time": {"in_the_last": "3 weeks"}}'), "a word of a value");
  assert.equal(mend('{"did": 3}', "$.did", "an event type is a string", "Write a string."), undefined);
});

test("what made a cohort smaller is looked for", () => {
  assert.deepEqual(eventTypesOf(parse('{"and": [{"did": "a"}, {"not": {"or": [{"did_not": ["b", "a"]}, {"did": "*"}]}}, {"compare": {"did": "c"}, "operator": "gt", "to": 3}]}')), ["a", "b", "c"]);
  const days = (...events: number[]) => events.map((each, i) => ({ day: `2026-11-0${i + 1}`, events: each }));
  assert.equal(silentSince(days(3, 4, 0, 0)), "2026-11-02");
  assert.equal(silentSince(days(3, 4, 2, 0)), undefined);
  assert.equal(silentSince(days(0, 0, 0)), undefined);
});

test("templates are the recipes", () => {
  assert.ok(templates.length >= 25, `${templates.length}`);
  for (const { title, section, rule } of templates) {
    assert.ok(title && section);
    assert.deepEqual(blocks(rule), []);
  }
});

test("figures are written as the texts say", () => {
  assert.deepEqual([share(6412, 1089735), share(12, 1089735), share(1, 2), share(0, 5)], ["0.59 %", "0.001 %", "50.0 %", "0 %"]);
  assert.deepEqual([change(3), change(-3), change(0)], ["+3", "−3", "0"]);
});
