// The button of a problem whose repair is known.
import { builder as t } from "../texts";
import { useEdit, type PlacedProblem } from "./edit";
import { repairOf } from "./repair-of";

export function Repair({ problem }: { problem: PlacedProblem }) {
  const { draft, change } = useEdit();
  const repair = repairOf(draft, problem);
  if (!repair) return null;
  return <button class="linkish" type="button" onClick={() => change(repair.place, repair.value)}>{t.use(repair.text)}</button>;
}
