// The builder: a rule as a tree of sentences, as JSON and as SQL, with its size after every change.
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { ask, cohortPath, get, Refusal, type Cohort, type EventType, type List, type Property } from "../api";
import { useAnswer } from "../builder/answer";
import { draftKey, readDraft, store, useHistory, type Stored } from "../builder/draft";
import { EditContext, type Edit, type Vocabulary } from "../builder/edit";
import { Announce, Reachable, Result, SampleOf, useRun } from "../builder/result";
import { Conflict, SaveDialog } from "../builder/save";
import { JsonTab, SqlTab } from "../builder/tabs";
import { Tree } from "../builder/tree";
import { Words } from "../builder/words";
import { Await, Failure, Note, Panel } from "../parts/parts";
import { go, Link, path } from "../router";
import { isObject, same, type Json } from "../rule/json";
import { at, idOf, placeText, put, type Place } from "../rule/place";
import { conditionAt, headOf, numbered, ruleOf } from "../rule/tree";
import { ruleInWords } from "../rule/words";
import { useKeys, useLoad, useShared, useTitle } from "../state";
import { templates } from "../templates";
import { zones } from "../zones";
import { clock, count, moment, page as t, plural, result, save as saveTexts, share } from "../texts";

const FOLD_FROM = 9;

async function loadVocabulary(signal: AbortSignal): Promise<Vocabulary> {
  const none = () => ({ items: [] });
  const [events, properties, cohorts] = await Promise.all([
    get<List<EventType>>("/v1/event-types?days=0", signal), get<List<Property>>("/v1/properties", signal).catch(none), get<List<Cohort>>("/v1/cohorts?limit=1000", signal).catch(none),
  ]);
  return { events: events.items, properties: properties.items, cohorts: cohorts.items.map(cohort => cohort.name) };
}

interface Opened { cohort: Cohort | null; etag: string | null; vocabulary: Vocabulary }

export function BuilderPage({ name, template }: { name: string | null; template: string | null }) {
  useTitle(name ?? t.newCohort);
  const opened = useLoad<Opened>(`builder ${name ?? ""}`, async signal => {
    const [vocabulary, saved] = await Promise.all([loadVocabulary(signal), name === null ? null : ask<Cohort>("GET", cohortPath(name), { signal })]);
    return { vocabulary, cohort: saved?.data ?? null, etag: saved?.etag ?? null };
  });
  return <Await of={opened} title={name ?? t.newCohort}>{data => <Builder key={name ?? "new"} name={name} opened={data} template={template} />}</Await>;
}

function firstState(opened: Opened, template: string | null) {
  const recipe = template === null ? undefined : templates[Number(template)];
  if (opened.cohort) return { name: opened.cohort.name, draft: opened.cohort.rule };
  return { name: recipe?.title.split(":")[0] ?? "", draft: recipe?.rule ?? null };
}

function Builder({ name, opened, template }: { name: string | null; opened: Opened; template: string | null }) {
  const { session, say } = useShared();
  const { vocabulary } = opened;
  const key = draftKey(session.role, name);
  const [saved, setSaved] = useState({ cohort: opened.cohort, etag: opened.etag });
  const initial = firstState(opened, template);
  const found = useRef<Stored | null | undefined>(undefined);
  if (found.current === undefined) {
    const draft = readDraft(key);
    found.current = draft !== null && !(draft.name === initial.name && same(draft.draft, initial.draft)) ? draft : null;
  }
  const history = useHistory(template === null && found.current ? found.current : initial);
  const { draft, name: title } = history.state;
  const base = useRef<{ rule: Json; etag: string | null }>(found.current && template === null ? { rule: found.current.base, etag: found.current.etag } : { rule: initial.draft, etag: opened.etag });
  const [tab, setTab] = useState<"form" | "json" | "sql">("form");
  const [typing, setTyping] = useState(false);
  const [showsFound, setShowsFound] = useState(found.current !== null && template === null);
  const [keptAt, setKeptAt] = useState<Date | null>(null);
  const [nameProblem, setNameProblem] = useState<string | undefined>();
  const [failure, setFailure] = useState<Refusal | null>(null);
  const [asking, setAsking] = useState(false);
  const [conflict, setConflict] = useState<{ cohort: Cohort; etag: string | null } | null>(null);
  const [busy, setBusy] = useState(false);
  const [folded, setFolded] = useState<ReadonlySet<number>>(() => {
    const all = draft === null ? [] : numbered(draft);
    return new Set(all.length >= FOLD_FROM ? all.map(each => idOf(each.value)) : []);
  });
  const answer = useAnswer(draft, typing, tab === "sql");
  const rule = ruleOf(draft);
  const running = useRun(rule);
  const focus = useRef<{ place: Place; on: "box" | "more" } | null>(null);
  const nameBox = useRef<HTMLInputElement>(null);
  const changed = !same(draft, base.current.rule) || (name === null ? title !== "" : title !== name);

  useEffect(() => {
    if (!changed) {
      store(key, null);
      return;
    }
    const stored = store(key, { name: title, draft, at: new Date().toISOString(), etag: base.current.etag, base: base.current.rule });
    setKeptAt(stored ? new Date() : null);
  }, [draft, title]);

  const set = useCallback((next: Json, isTyping = false, what?: string) => {
    setTyping(isTyping);
    history.push({ name: title, draft: next }, what);
  }, [title]);
  const replace = (next: Json, to?: { place: Place; on: "box" | "more" }) => {
    focus.current = to ?? null;
    set(next);
  };
  useLayoutEffect(() => {
    if (!focus.current) return;
    const { place, on } = focus.current;
    const text = CSS.escape(placeText(place));
    const target = on === "more" ? document.querySelector<HTMLElement>(`[data-more="${text}"] button`)
      : document.querySelector<HTMLElement>(`[data-place="${text}"] :is(.box select, .box input, textarea)`) ?? document.querySelector<HTMLElement>(`[data-place^="${text}"] :is(select, input, textarea)`);
    (target ?? document.querySelector<HTMLElement>(".adds.root button"))?.focus();
    focus.current = null;
  }, [draft]);

  const edit = useMemo<Edit>(() => ({
    draft, problems: answer.problems, vocabulary, settle: () => setTyping(false),
    change: (place, value, isTyping) => set(put(draft, place, value) ?? null, isTyping, isTyping ? placeText(place) : undefined),
  }), [draft, answer.problems, vocabulary, set]);

  const goToProblem = () => {
    setTab("form");
    const problem = answer.problems[0];
    if (!problem) return;
    const owner = conditionAt(draft, problem.place);
    if (owner) setFolded(before => new Set([...before].filter(id => id !== idOf(owner.value))));
    requestAnimationFrame(() => {
      const box = document.querySelector<HTMLElement>('.tree [aria-invalid="true"]') ?? (owner && document.querySelector<HTMLElement>(`[data-place="${CSS.escape(placeText(owner.place))}"] :is(select, input, textarea, button)`));
      box?.focus();
    });
  };

  const finish = (cohort: Cohort, etag: string | null, text: string) => {
    base.current = { rule: cohort.rule, etag };
    setSaved({ cohort, etag });
    store(key, null);
    setKeptAt(null);
    setAsking(false);
    setConflict(null);
    const before = saved.cohort?.kind === "rule" ? saved.cohort.rule : null;
    const goBack = () => {
      set(before);
      void write(etag, before);
    };
    say({ text, ...(before === null || same(before, cohort.rule) ? {} : { undo: goBack, undoText: t.undo }) });
    if (cohort.name !== name) go(path("cohorts", cohort.name), false);
  };

  const write = async (etag: string | null, toSave: Json, effect = "") => {
    setBusy(true);
    setFailure(null);
    try {
      if (saved.cohort === null) {
        const made = await ask<Cohort>("POST", "/v1/cohorts", { body: { name: title.trim(), rule: toSave } });
        finish(made.data, made.etag, saveTexts.savedNew(made.data.name));
        return;
      }
      let current = saved.cohort.name;
      let tag = etag;
      if (title.trim() !== current) {
        const renamed = await ask<Cohort>("PATCH", cohortPath(current), { body: { name: title.trim() }, etag: tag });
        current = renamed.data.name;
        tag = renamed.etag;
      }
      const put_ = await ask<Cohort>("PUT", cohortPath(current), { body: { rule: toSave }, etag: tag });
      finish(put_.data, put_.etag, saveTexts.saved(put_.data.version, effect));
    } catch (failed) {
      const refused = failed instanceof Refusal ? failed : new Refusal(-1, String(failed));
      setAsking(false);
      if (refused.status === 412 && name !== null) {
        const theirs = await ask<Cohort>("GET", cohortPath(name)).catch(() => null);
        if (theirs) setConflict({ cohort: theirs.data, etag: theirs.etag });
      } else if (refused.status === 409 && saved.cohort === null) {
        setNameProblem(refused.message);
        nameBox.current?.focus();
      } else setFailure(refused);
    } finally {
      setBusy(false);
    }
  };

  const save = () => {
    if (answer.problems.length > 0) return goToProblem();
    if (title.trim() === "") {
      setNameProblem(saveTexts.needsName);
      nameBox.current?.focus();
      return undefined;
    }
    if (rule === null) {
      document.querySelector<HTMLElement>(".adds.root button")?.focus();
      return setFailure(new Refusal(-1, saveTexts.needsCondition));
    }
    if (saved.cohort !== null && !same(rule, saved.cohort.rule)) return setAsking(true);
    return void write(base.current.etag, rule);
  };
  const run = () => void running.run();

  useKeys(event => {
    if (!(event.ctrlKey || event.metaKey)) return;
    const act = { Enter: run, s: save, z: event.shiftKey ? history.redo : history.undo, Z: history.redo, y: history.redo }[event.key];
    const native = event.key.toLowerCase() === "z" && event.target instanceof HTMLTextAreaElement;
    if (!act || native) return;
    event.preventDefault();
    if (document.activeElement instanceof HTMLInputElement && event.key !== "Enter") document.activeElement.blur();
    setTyping(false);
    act();
  });

  const zone = at(draft, ["timezone"]);
  const setZone = (next: string) => {
    if (isObject(draft)) set(next === "UTC" && !("timezone" in headOf(draft)) ? draft : { ...draft, timezone: next });
  };
  const offered = typeof zone === "string" && !zones.includes(zone) ? [zone, ...zones] : zones;
  const { good } = answer;
  const first = answer.problems[0];
  const firstNo = first && (conditionAt(draft, first.place)?.no ?? "");
  const sizeText = good?.size !== undefined && good?.size !== null ? result.announced(plural(good.size, "customer"), share(good.size, good.universe ?? 0), count(good.universe ?? 0)) : "";
  const tabs = [["form", t.form], ["json", t.json], ["sql", t.sql]] as const;

  return (
    <EditContext.Provider value={edit}>
      <div class="page-head">
        <div>
          <p class="crumb"><Link to="/">{t.cohorts}</Link> / {name === null ? t.new : <Link to={path("cohorts", name)}><bdi>{name}</bdi></Link>}</p>
          <h1 class="unseen">{name === null ? t.newCohort : t.editing(name)}</h1>
          <input
            ref={nameBox} class="input title" aria-label={t.name} value={title} placeholder={t.namePlaceholder} maxLength={255} aria-invalid={nameProblem ? "true" : undefined} aria-describedby={nameProblem ? "name-problem" : undefined}
            onInput={event => { setNameProblem(undefined); history.push({ name: event.currentTarget.value, draft }, "name"); }}
          />
          {nameProblem && <p class="wrong-text" id="name-problem">{nameProblem}</p>}
        </div>
        <div class="row">
          {keptAt && changed && <span class="small quiet">{t.draftKept(clock(keptAt, true))}</span>}
          <button class="button" type="button" disabled={!history.canUndo} onClick={history.undo}>{t.undo} <kbd class="hide-narrow">Ctrl Z</kbd></button>
          <button class="button hide-narrow" type="button" onClick={run}>{t.run} <kbd>Ctrl ↵</kbd></button>
          <button class="button primary hide-narrow" type="button" disabled={busy} onClick={save}>{t.save}</button>
        </div>
      </div>
      <div class="page-notes">
        {showsFound && found.current && (
          <Note tone="info" title={t.draftOf(moment(found.current.at))} actions={<>
            <button class="button" type="button" onClick={() => setShowsFound(false)}>{t.goOn}</button>
            <button class="linkish" type="button" onClick={() => { base.current = { rule: initial.draft, etag: opened.etag }; history.push(initial); setShowsFound(false); }}>{t.discard}</button>
          </>}>{found.current.etag === opened.etag ? t.draftUnchanged : t.draftChanged}</Note>
        )}
        {failure && <Failure error={failure} safe={result.draftIsSafe} again={save} />}
        {saved.cohort && !saved.cohort.editable && <Note tone="info">{t.notYours(saved.cohort.owner)}</Note>}
        {saved.cohort?.kind === "list" && <Note tone="info">{t.isList}</Note>}
        {saved.cohort?.kind === "query" && <Note tone="info">{t.isQuery}</Note>}
      </div>
      <div class="grid flat">
        <div class="wide column">
          <Panel title={t.inWords} end={
            <span class="row small quiet"><label for="zone">{t.daysBegin}</label><span class="pick"><select id="zone" class="input" value={typeof zone === "string" ? zone : "UTC"} disabled={draft === null} onChange={event => setZone(event.currentTarget.value)}>
              {offered.map(each => <option key={each} value={each}>{each}</option>)}
            </select></span></span>
          }><p class="words"><Words pieces={ruleInWords(rule)} wrong={answer.problems.map(problem => problem.place)} /></p></Panel>
          <section class="panel" aria-label={t.rule}>
            <header class="tab-head">
              <div class="tabs" role="tablist" aria-label={t.rule}>{tabs.map(([each, text], i) => (
                <button key={each} type="button" role="tab" id={`tab-${each}`} aria-selected={tab === each} aria-controls={`panel-${each}`} tabIndex={tab === each ? 0 : -1} onClick={() => setTab(each)}
                  onKeyDown={event => {
                    const by = { ArrowRight: 1, ArrowLeft: tabs.length - 1 }[event.key];
                    const next = by === undefined ? undefined : tabs[(i + by) % tabs.length]?.[0];
                    if (!next) return;
                    setTab(next);
                    document.getElementById(`tab-${next}`)?.focus();
                  }}>{text}</button>
              ))}</div>
              {first && <button class="linkish" type="button" onClick={goToProblem}>{t.problemAt(answer.problems.length, firstNo ?? "")}</button>}
            </header>
            <div role="tabpanel" id={`panel-${tab}`} aria-labelledby={`tab-${tab}`}>
              {tab === "form" && <Tree draft={draft} universe={good?.universe ?? null} sizeAt={answer.sizeAt} folded={folded} replace={replace}
                setFolded={(id, fold) => setFolded(before => { const next = new Set(before); if (fold) next.add(id); else next.delete(id); return next; })} />}
              {tab === "json" && <JsonTab draft={draft} problems={answer.problems} onChange={next => set(next, true, "json")} />}
              {tab === "sql" && <SqlTab sql={good?.sql ?? null} old={answer.pending || answer.problems.length > 0} />}
            </div>
          </section>
        </div>
        <aside class="side column" aria-label={result.title}>
          <Result answer={answer} draft={draft} goTo={goToProblem} again={answer.again} />
          <Reachable ran={running.ran} old={running.old} run={run} />
          <SampleOf ran={running.ran} old={running.old} error={running.error} />
        </aside>
      </div>
      <Announce text={answer.pending ? "" : first ? t.problemAt(answer.problems.length, firstNo ?? "") : sizeText} />
      <section class="bottom-bar" aria-label={t.sizeAndSave}>
        <div><b>{good?.size === null || good === null ? "–" : count(good.size)}</b> <span class="quiet small">{good?.size ? share(good.size, good.universe ?? 0) : ""}</span>
          {first && <div class="small wrong-text">{t.problemAt(answer.problems.length, firstNo ?? "")}</div>}</div>
        <button class="button" type="button" onClick={run}>{t.run}</button>
        <button class="button primary" type="button" disabled={busy} onClick={save}>{t.save}</button>
      </section>
      {asking && saved.cohort && rule !== null && <SaveDialog cohort={saved.cohort} rule={rule} busy={busy} onClose={() => setAsking(false)} onSave={effect => void write(base.current.etag, rule, effect)} />}
      {conflict && rule !== null && <Conflict base={base.current.rule} mine={rule} theirs={conflict.cohort} onClose={() => setConflict(null)} onTake={taken => {
        base.current = { rule: conflict.cohort.rule, etag: conflict.etag };
        setSaved(conflict);
        setConflict(null);
        const next = taken === "theirs" ? conflict.cohort.rule : taken;
        set(next);
        if (taken !== "theirs") void write(conflict.etag, next);
      }} />}
    </EditContext.Provider>
  );
}

