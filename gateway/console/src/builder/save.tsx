// Saving a changed cohort: what it does to whom, and what if somebody else saved meanwhile.
import { useEffect, useState } from "preact/hooks";
import { post, type Cohort, type Preview } from "../api";
import { Dialog, Note } from "../parts/parts";
import { Link, path } from "../router";
import { common, count, save as t } from "../texts";
import { pretty, type Json } from "../rule/json";
import { bodyOf, headOf } from "../rule/tree";
import { conditionInWords, ruleInWords } from "../rule/words";
import { changesOf, merge } from "./merge";
import { Words } from "./words";

interface Effect { members: number | null; gained: number | null; lost: number | null }

/** Members gained and lost: the new rule without the saved cohort, and the saved cohort without the new rule. */
async function effectOf(name: string, rule: Json): Promise<Effect> {
  const saved: Json = { cohort: name };
  const one = bodyOf(rule);
  const size = (body: Json[]) => post<Preview>("/v1/preview", { rule: { ...headOf(rule), and: body }, sample: 0 }).then(answer => answer.size);
  const [members, gained, lost] = await Promise.all([size([one]), size([one, { not: saved }]), size([saved, { not: one }])]);
  return { members, gained, lost };
}

export function SaveDialog({ cohort, rule, onSave, onClose, busy }: { cohort: Cohort; rule: Json; onSave: (effect: string) => void; onClose: () => void; busy: boolean }) {
  const [effect, setEffect] = useState<Effect | null>(null);
  useEffect(() => {
    effectOf(cohort.name, rule).then(setEffect, () => setEffect({ members: null, gained: null, lost: null }));
  }, []);
  const figure = (value: number | null | undefined) => (value === undefined || value === null ? "–" : count(value));
  return (
    <Dialog title={t.title(cohort.version + 1)} onClose={onClose} foot={
      <><button class="button" type="button" onClick={onClose}>{common.back}</button><button class="button primary" type="button" disabled={busy} onClick={() => onSave(t.effect(effect?.gained ?? null, effect?.lost ?? null))}>{t.save}</button></>
    }>
      <dl class="tally">
        <div><dt>{t.members}</dt><dd>{figure(effect?.members)}</dd></div>
        <div><dt>{t.gained}</dt><dd class="up">{effect?.gained ? `+${count(effect.gained)}` : figure(effect?.gained)}</dd></div>
        <div><dt>{t.lost}</dt><dd class="down">{effect?.lost ? `−${count(effect.lost)}` : figure(effect?.lost)}</dd></div>
      </dl>
      <p class="small">{cohort.syncs.length + cohort.used_by.length === 0 ? t.unused : (
        <>{t.usedBy} {cohort.syncs.map(sync => <span key={sync.destination}><Link to={path("syncs", cohort.name, sync.destination)}>{t.syncTo(sync.destination)}</Link> </span>)}
          {cohort.used_by.map(name => <span key={name}><Link to={path("cohorts", name)}>{t.cohort(name)}</Link> </span>)}</>
      )}</p>
    </Dialog>
  );
}

export function Conflict({ base, mine, theirs, onTake, onClose }: { base: Json; mine: Json; theirs: Cohort; onTake: (rule: Json | "theirs") => void; onClose: () => void }) {
  const both = merge(base, mine, theirs.rule);
  const own = changesOf(base, mine), other = changesOf(base, theirs.rule);
  const [compare, setCompare] = useState(false);
  const lines = (title: string, changes: typeof own) => (
    <div><h3>{title}</h3>
      <ul class="stack tight">
        {changes.removed.map((each, i) => <li key={`r${i}`}><del><Words pieces={conditionInWords(each)} /></del></li>)}
        {changes.added.map((each, i) => <li key={`a${i}`}><ins><Words pieces={conditionInWords(each)} /></ins></li>)}
        {changes.added.length + changes.removed.length === 0 && <li class="quiet">{t.onlyTheWhole}</li>}
      </ul>
    </div>
  );
  return (
    <Dialog broad title={t.conflict} onClose={onClose} foot={
      <>
        <button class="button" type="button" onClick={onClose}>{common.back}</button>
        <button class="button" type="button" onClick={() => setCompare(!compare)}>{t.compare}</button>
        <button class="button" type="button" onClick={() => onTake("theirs")}>{t.theirs}</button>
        <button class="button" type="button" onClick={() => onTake(mine)}>{t.mine}</button>
        {both !== undefined && <button class="button primary" type="button" onClick={() => onTake(both)}>{t.both}</button>}
      </>
    }>
      <p>{t.savedBy(theirs.owner, theirs.version)}</p>
      {lines(t.theyChanged, other)}
      {lines(t.youChanged, own)}
      {both === undefined && <Note tone="warn">{t.sameCondition}</Note>}
      {compare && (
        <div class="grid">
          <div class="half"><h3>{t.theirs}</h3><p class="words"><Words pieces={ruleInWords(theirs.rule)} /></p><pre class="code" tabIndex={0}>{pretty(theirs.rule, 48)}</pre></div>
          <div class="half"><h3>{t.mine}</h3><p class="words"><Words pieces={ruleInWords(mine)} /></p><pre class="code" tabIndex={0}>{pretty(mine, 48)}</pre></div>
        </div>
      )}
    </Dialog>
  );
}
