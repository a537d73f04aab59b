/** The address of what is shown: "#hq/3/room-7" is level "hq/3" and space "room-7". */

export function fromHash(): [string | null, string | null] {
  const [building, level, space] = location.hash.slice(1).split("/").map(decodeURIComponent);
  return [building && level ? `${building}/${level}` : null, space || null];
}

export function setHash(level: string, space: string | null): void {
  history.replaceState(null, "", `#${space === null ? level : `${level}/${space}`}`);
}
