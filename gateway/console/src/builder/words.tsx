import type { Piece } from "../rule/words";
import { isBelow, type Place } from "../rule/place";

/** A sentence; what can be changed is bold, what has a problem is underlined. */
export function Words({ pieces, wrong = [] }: { pieces: readonly Piece[]; wrong?: readonly Place[] }) {
  return (
    <>{pieces.map((piece, i) => {
      if (!piece.strong) return <span key={i} class="quiet">{piece.text}</span>;
      const { place } = piece;
      const isWrong = place !== undefined && wrong.some(each => isBelow(each, place));
      return <b key={i} class={isWrong ? "wrong" : undefined}><bdi>{piece.text}</bdi></b>;
    })}</>
  );
}
