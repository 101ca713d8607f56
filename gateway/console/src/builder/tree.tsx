// The tree of conditions: groups, numbers, sizes, problems, and what the "…" of a condition does.
import { useState } from "preact/hooks";
import { builder as t } from "../texts";
import { isObject, type Json } from "../rule/json";
import { conditionKind, isOut } from "../rule/kinds";
import { at, idOf, isBelow, placeText, put, type Place } from "../rule/place";
import * as tree from "../rule/tree";
import { conditionInWords } from "../rule/words";
import { Icon } from "../parts/icons";
import { Menu, Size, type MenuItem } from "../parts/parts";
import { JsonBox, Pick } from "./boxes";
import { Did } from "./did";
import { problemId, useEdit, type PlacedProblem } from "./edit";
import { Compare, Rank } from "./figures";
import { NEW_KINDS, newCondition, type NewKind } from "./new";
import { GroupOfCustomers, InCohort, Listed, Profile, ProfileElement, Sample, Sequence } from "./others";
import { Repair } from "./repair";
import { Words } from "./words";

export interface SizeOf { customers: number | null; leaves: number | null; old: boolean }
export interface TreeProps {
  draft: Json;
  universe: number | null;
  sizeAt: (place: Place) => SizeOf | undefined;
  folded: ReadonlySet<number>;
  setFolded: (id: number, folded: boolean) => void;
  /** Replaces the draft; the focus goes to the first box or to the "…" of the condition at the place. */
  replace: (draft: Json, focus?: { place: Place; on: "box" | "more" }) => void;
}

export function Tree(props: TreeProps) {
  const { draft, replace } = props;
  const { vocabulary } = useEdit();
  const group = tree.groupOf(draft);
  const add = (kind: NewKind) => {
    const next = tree.addTo(draft, [], newCondition(kind, vocabulary));
    replace(next, { place: tree.groupOf(next)?.kids.at(-1) ?? [], on: "box" });
  };
  return (
    <div class="tree">
      {draft === null ? <p class="quiet">{t.empty}</p> : group ? <Group {...props} place={[]} no="" value={draft} /> : (
        <>
          <Head {...props} place={[]} no="" mode="all" />
          <ul class="kids all"><li><Item {...props} place={[]} no="1" value={draft} /></li></ul>
        </>
      )}
      <div class="adds root">
        <span class="kw small">{t.add}</span>
        {NEW_KINDS.slice(0, 5).map(kind => <button key={kind} type="button" class="chip" onClick={() => add(kind)}>{t.newKinds[kind]} {t.newHints[kind] && <span class="n">{t.newHints[kind]}</span>}</button>)}
        <Menu label={t.more} class="chip" left content={t.more} items={NEW_KINDS.slice(5).map(kind => ({ text: t.newKinds[kind], key: t.newHints[kind], act: () => add(kind) }))} />
      </div>
    </div>
  );
}

function Head(props: TreeProps & { place: Place; no: string; mode: tree.Mode; out?: boolean }) {
  const { draft, place, no, mode, replace, universe } = props;
  const size = props.sizeAt(place);
  const options = [["all", t.allOfThese], ["any", t.anyOfThese], ["none", t.noneOfThese]] as const;
  return (
    <div class={`group-head ${props.out ? "left-out" : ""}`} role="group" aria-label={no ? t.groupNo(no) : t.wholeRule}>
      <div class="sentence">
        {no ? <span class="no">{no}</span> : <span class="kw">{t.customersWho}</span>}
        <Pick label={t.howTheseCombine} place={place} value={mode} options={options} onPick={next => replace(tree.setMode(draft, place, next as tree.Mode))} />
      </div>
      {no || size ? <Sized {...props} size={size} universe={universe} place={place} out={props.out} /> : <span />}
      {no ? <More {...props} place={place} no={no} /> : <span />}
    </div>
  );
}

function Group(props: TreeProps & { place: Place; no: string; value: Json; out?: boolean }) {
  const { draft, place, no, value, replace } = props;
  const { vocabulary } = useEdit();
  const group = tree.groupOf(value);
  if (!group) return null;
  const join = group.mode === "all" ? t.and : t.or;
  const add = (kind: NewKind) => {
    const next = tree.addTo(draft, place, newCondition(kind, vocabulary));
    const kids = tree.groupOf(at(next, place))?.kids ?? [];
    replace(next, { place: [...place, ...(kids.at(-1) ?? [])], on: "box" });
  };
  return (
    <>
      <Head {...props} mode={group.mode} />
      <ul class={`kids ${group.mode}`}>
        {group.kids.map((kid, i) => {
          const inner = at(value, kid) ?? null;
          return (
            <li key={idOf(inner)}>
              {i > 0 && <span class="join">{join}</span>}
              <Item {...props} place={[...place, ...kid]} no={`${no ? `${no}.` : ""}${i + 1}`} value={inner} />
            </li>
          );
        })}
      </ul>
      {no && <div class="adds"><Menu label={t.addIn(no)} class="linkish" left content={t.addIn(no)} items={NEW_KINDS.map(kind => ({ text: t.newKinds[kind], key: t.newHints[kind], act: () => add(kind) }))} /></div>}
    </>
  );
}

function Item(props: TreeProps & { place: Place; no: string; value: Json; out?: boolean }) {
  const inner = isOut(props.value) ? { ...props, value: props.value.$out, place: [...props.place, "$out"], out: true } : { ...props, out: false };
  return tree.groupOf(inner.value) ? <Group {...inner} /> : <Leaf {...inner} />;
}

function Leaf(props: TreeProps & { place: Place; no: string; value: Json; out?: boolean }) {
  const { place, no, value, folded, setFolded, universe, draft, replace } = props;
  const { problems, vocabulary } = useEdit();
  const id = idOf(value);
  const own = problems.filter(each => {
    const owner = tree.conditionAt(draft, each.place);
    return owner !== undefined && isBelow(each.place, place) && owner.place.length <= place.length;
  });
  const isFolded = folded.has(id) && own.length === 0;
  const number = (
    <button class="folded" type="button" aria-expanded={!isFolded} aria-label={isFolded ? undefined : t.fold(no)} data-fold={placeText(place)} onClick={() => setFolded(id, !isFolded)}>
      <span class="no">{no}</span>{isFolded && <><Icon name="right" /><span><Words pieces={conditionInWords(value)} /></span></>}
    </button>
  );
  const slots = tree.slotsOf(value);
  return (
    <>
      <div class={`condition ${props.out ? "left-out" : ""}`} role="group" aria-label={t.conditionNo(no)} data-place={placeText(place)}>
        <div>
          {isFolded ? number : <Body value={value} place={place} no={number} />}
          {props.out && <p class="small quiet">{t.isLeftOut} <button class="linkish" type="button" onClick={() => replace(tree.leaveOut(draft, place.slice(0, -1)))}>{t.bringBack}</button></p>}
          {own.map(problem => <ProblemNote key={problem.path + problem.problem} problem={problem} />)}
        </div>
        <Sized {...props} size={props.sizeAt(place)} universe={universe} place={place} out={props.out} problem={own.length > 0} />
        <More {...props} />
      </div>
      {!isFolded && slots.map(slot => (
        <ul class="kids all" key={slot}><li><Item {...props} place={[...place, slot]} no={`${no}.1`} value={at(value, [slot]) ?? null} /></li></ul>
      ))}
      {!isFolded && conditionKind(value) === "rank" && slots.length === 0 && (
        <div class="adds"><button class="linkish" type="button" onClick={() => {
          const of = [...place, "of"];
          replace(put(draft, of, newCondition("profile", vocabulary)) ?? null, { place: of, on: "box" });
        }}>{t.addOf}</button></div>
      )}
    </>
  );
}

function Sized({ size, universe, place, out, problem, draft }: { size: SizeOf | undefined; universe: number | null; place: Place; out?: boolean; problem?: boolean; draft: Json }) {
  const { problems } = useEdit();
  if (out) return <span class="size" />;
  const within = problem ? undefined : problems.find(each => isBelow(each.place, place));
  if (problem || within) return <Size size={null} universe={universe} old={false} see={problem || !within ? "" : tree.conditionAt(draft, within.place)?.no ?? ""} />;
  return <Size size={size?.customers} universe={universe} old={size?.old ?? false} leaves={size?.leaves} />;
}

function Body({ value, place, no }: { value: Json; place: Place; no: preact.ComponentChildren }) {
  const kind = conditionKind(value);
  if (kind === "json" || kind === "group" || !isObject(value)) {
    return <><div class="sentence">{no}<span class="kw">{t.asJson}</span></div><JsonBox label={t.partAsJson} place={place} value={value} /></>;
  }
  const props = { value, place, no };
  switch (kind) {
    case "did": return <Did {...props} />;
    case "profile": return <Profile {...props} />;
    case "element": return <ProfileElement {...props} />;
    case "cohort": return <InCohort {...props} />;
    case "sequence": return <Sequence {...props} />;
    case "compare": return <Compare {...props} />;
    case "rank": return <Rank {...props} />;
    case "group of customers": return <GroupOfCustomers {...props} />;
    case "sample": return <Sample {...props} />;
    case "listed": return <Listed {...props} />;
  }
}

function ProblemNote({ problem }: { problem: PlacedProblem }) {
  return (
    <div class="problem" id={problemId(problem)}>
      <Icon name="warn" /><div><b>{t.problemText(problem.problem)}</b> <Repair problem={problem} /></div>
    </div>
  );
}

function More(props: TreeProps & { place: Place; no: string; out?: boolean }) {
  const { draft, no, replace, out } = props;
  const place = out ? props.place.slice(0, -1) : props.place;
  const free = tree.isFree(place);
  const [announced, setAnnounced] = useState("");
  const acts: Record<string, () => void> = {
    d: () => { const done = tree.duplicate(draft, place); replace(done.draft, { place: done.place, on: "box" }); },
    g: () => { const done = tree.wrap(draft, place); replace(done.draft, { place: done.place, on: "more" }); },
    o: () => replace(tree.opposite(draft, props.place), { place: props.place, on: "more" }),
    l: () => replace(tree.leaveOut(draft, place), { place: out ? place : [...place, "$out"], on: "more" }),
    Delete: () => replace(tree.remove(draft, place), { place: after(draft, place), on: "more" }),
    ArrowUp: () => moved(-1),
    ArrowDown: () => moved(1),
  };
  const moved = (by: 1 | -1) => {
    const done = tree.move(draft, place, by);
    replace(done.draft, { place: out ? [...done.place, "$out"] : done.place, on: "more" });
    setAnnounced(t.movedTo(tree.conditionAt(done.draft, done.place)?.no ?? ""));
  };
  const keys = (event: KeyboardEvent) => {
    const arrow = event.key === "ArrowUp" || event.key === "ArrowDown";
    if (event.ctrlKey || event.metaKey || (arrow !== event.altKey) || !acts[event.key]) return;
    if (!free && event.key !== "d" && event.key !== "g" && event.key !== "o") return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]?.();
  };
  const item = (text: string, key: string, shown: string): MenuItem => ({ text, key: shown, act: acts[key] ?? (() => undefined) });
  const items = [
    item(t.duplicate, "d", "D"), ...(typeof place.at(-1) === "number" ? [item(t.moveUp, "ArrowUp", "Alt ↑"), item(t.moveDown, "ArrowDown", "Alt ↓")] : []), item(t.putInGroup, "g", "G"), item(t.turnOpposite, "o", "O"),
    ...(free ? [item(out ? t.bringBack : t.leaveOut, "l", "L"), item(t.remove, "Delete", "Del")] : []),
  ];
  return (
    <span data-more={placeText(props.place)}>
      <Menu label={t.moreFor(no)} class="kebab" button={<Icon name="more" />} items={items} onKeyDown={keys} />
      <span class="unseen" aria-live="polite">{announced}</span>
    </span>
  );
}

/** Where the focus goes after a removal: the next condition, or the one before it. */
function after(draft: Json, place: Place): Place {
  const next = tree.remove(draft, place);
  const all = tree.numbered(next);
  return (all.find(each => placeText(each.place) === placeText(place)) ?? all.at(-1))?.place ?? [];
}
