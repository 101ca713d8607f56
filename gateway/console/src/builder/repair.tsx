// What to do about a problem: the button where the repair is known, else the hint.
import { builder as t } from "../texts";
import { useEdit, type PlacedProblem } from "./edit";
import { repairOf } from "./repair-of";

export function Repair({ problem }: { problem: PlacedProblem }) {
  const { draft, change } = useEdit();
  const repair = repairOf(draft, problem);
  if (!repair) return <>{problem.hint}</>;
  return <>{t.didYouMean(repair.text)} <button class="linkish" type="button" onClick={() => change(repair.place, repair.value)}>{t.use(repair.text)}</button></>;
}
