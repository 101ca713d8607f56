// The conditions besides did, compare and rank.
import { builder as t } from "../texts";
import { isObject, type Json, type JsonObject } from "../rule/json";
import { groupKey } from "../rule/kinds";
import { keepId, type Place } from "../rule/place";
import { eventList } from "../rule/values";
import { Icon } from "../parts/icons";
import { Menu } from "../parts/parts";
import { Adder, EventBox, JsonBox, LengthBox, NameBox, Pick, PropertyBox, TextBox, Word } from "./boxes";
import { profileScope, useEdit, type Scope } from "./edit";
import { Parts } from "./did";
import { Comparison, comparisonItems, Rows, Where } from "./predicates";

interface Props { value: JsonObject; place: Place; no: preact.ComponentChildren }

export function Profile({ value, place, no }: Props) {
  const { change } = useEdit();
  return (
    <div class="sentence">
      {no}<Word>{t.has}</Word>
      <PropertyBox place={[...place, "profile"]} value={value.profile} scope={profileScope} />
      <Comparison value={value} place={place} scope={profileScope} property={value.profile} />
      <Menu label={t.moreForWhere} class="kebab" left button={<Icon name="more" />} items={[
        ...comparisonItems(value, place, profileScope, change),
        { text: t.byElement, act: () => change(place, keepId(value, { profile: value.profile ?? "", element: true, where: { property: ".", operator: "eq", value: "" } })) },
      ]} />
    </div>
  );
}

export function ProfileElement({ value, place, no }: Props) {
  return (
    <>
      <div class="sentence">{no}<Word>{t.has}</Word><Word>{t.oneOf}</Word><PropertyBox place={[...place, "profile"]} value={value.profile} scope={profileScope} label={t.array} /></div>
      <Where value={value.where} place={[...place, "where"]} scope={{ ...profileScope, of: "element" }} />
    </>
  );
}

export function InCohort({ value, place, no }: Props) {
  const { vocabulary } = useEdit();
  return (
    <div class="sentence">
      {no}<Word>{t.isIn}</Word>
      <NameBox label={t.cohort} place={[...place, "cohort"]} value={value.cohort} offers={vocabulary.cohorts.map(text => ({ text }))} />
    </div>
  );
}

export function Sample({ value, place, no }: Props) {
  const sample = isObject(value.sample) ? value.sample : {};
  const [low, high] = Array.isArray(sample.percent) ? sample.percent : [];
  const at = [...place, "sample"];
  return (
    <div class="sentence">
      {no}<Word>{t.isInPart}</Word>
      <TextBox label={t.from} place={[...at, "percent", 0]} value={low} /><Word>{t.toWord}</Word><TextBox label={t.to} place={[...at, "percent", 1]} value={high} />
      <Word>{t.shuffledBy}</Word><TextBox label={t.salt} place={[...at, "salt"]} value={sample.salt} text />
    </div>
  );
}

export function Listed({ value, place, no }: Props) {
  return (
    <>
      <div class="sentence">{no}<Word>{t.isListed}</Word></div>
      <div class="sub"><Rows value={isObject(value.customer_in) ? value.customer_in : {}} place={[...place, "customer_in"]} /></div>
    </>
  );
}

export function GroupOfCustomers({ value, place, no }: Props) {
  const { change } = useEdit();
  const key = groupKey(value) ?? "any";
  const pick = (next: string) => change(place, keepId(value, Object.fromEntries(Object.entries(value).map(([each, item]) => [each === key ? next : each, item])) as JsonObject));
  return (
    <div class="sentence">
      {no}<Word>{t.shares}</Word><PropertyBox place={[...place, "group"]} value={value.group} scope={profileScope} />
      <Word>{t.withWord}</Word><Pick label={t.whoseCondition} place={place} value={key} options={[["any", t.anyCustomer], ["all", t.onlyCustomers], ["none", t.noCustomer]]} onPick={pick} />
    </div>
  );
}

export function Sequence({ value, place, no }: Props) {
  const { change } = useEdit();
  const steps = value.sequence as Json[];
  const at = [...place, "sequence"];
  const set = (list: Json[]) => change(at, keepId(value.sequence, list));
  const event = (step: Json | undefined) => (isObject(step) ? step.did ?? step.did_not ?? "*" : "*");
  return (
    <>
      <div class="sentence">{no}<Word>{t.inOrder}</Word></div>
      {steps.map((step, i) => {
        const here = [...at, i];
        const takeOut = steps.length > 1 && <button class="linkish" type="button" aria-label={t.removeStep(i + 1)} onClick={() => set(steps.filter((_, k) => k !== i))}>{t.removeThisStep}</button>;
        const key = isObject(step) ? ("did" in step ? "did" : "did_not" in step ? "did_not" : undefined) : undefined;
        if (!isObject(step) || !key) return <div class="sub" key={i}><div class="sentence"><Word>{t.then}</Word>{takeOut}</div><JsonBox label={t.partAsJson} place={here} value={step} /></div>;
        const earlier = steps.slice(0, i).flatMap(each => (isObject(each) && typeof each.as === "string" ? [each.as] : []));
        const scope: Scope = { of: "events", events: eventList(step[key]), steps: earlier };
        const between = steps.slice(0, i).some(each => isObject(each) && "did" in each) || (key === "did_not" && i === 0);
        return (
          <div key={i} class="step" role="group" aria-label={t.step(i + 1)}>
            <div class="sentence sub">
              <Word>{i === 0 ? t.firstWord : t.then}</Word>
              <Pick label={t.didOrNot} place={here} value={key} options={[["did", t.did], ["did_not", t.no]]} onPick={next => {
                const others = Object.entries(step).filter(([each]) => each === key || (next === "did" ? true : each === "where" || each === "within"));
                change(here, keepId(step, Object.fromEntries(others.map(([each, item]) => [each === key ? next : each, item])) as JsonObject));
              }} />
              <EventBox place={[...here, key]} value={step[key]} />
              {step.times !== undefined && <><TextBox label={t.howOften} place={[...here, "times"]} value={step.times} /><Word>{t.times}</Word><button class="kebab" type="button" aria-label={t.removeTimes} onClick={() => change([...here, "times"], undefined)}><Icon name="cross" /></button></>}
              {step.as !== undefined && <><Word>{t.called}</Word><TextBox label={t.stepName} place={[...here, "as"]} value={step.as} text /><button class="kebab" type="button" aria-label={t.removeName} onClick={() => change([...here, "as"], undefined)}><Icon name="cross" /></button></>}
              {takeOut}
            </div>
            <div class="nested"><Parts value={step} place={here} scope={scope} step between={between} extra={key === "did" && step.as === undefined && step.times === undefined && <Adder text={t.addName} onAdd={() => change([...here, "as"], freeName(steps))} />} /></div>
          </div>
        );
      })}
      <div class="sentence sub">
        {value.within === undefined ? <Adder text={t.addAllWithin} onAdd={() => change([...place, "within"], "7 days")} />
          : <><Word>{t.allWithin}</Word><LengthBox label={t.allWithin} place={[...place, "within"]} value={value.within} /><button class="kebab" type="button" aria-label={t.removeWithin} onClick={() => change([...place, "within"], undefined)}><Icon name="cross" /></button></>}
        <Adder text={t.addStep} onAdd={() => set([...steps, { did: event(steps.at(-1)) }])} />
        <Adder text={t.addNoStep} onAdd={() => set([...steps, { did_not: event(steps.at(-1)) }])} />
      </div>
    </>
  );
}

function freeName(steps: readonly Json[]): string {
  const taken = new Set(steps.map(step => (isObject(step) ? step.as : undefined)));
  return [..."abcdefgh"].find(name => !taken.has(name)) ?? `s${steps.length}`;
}
