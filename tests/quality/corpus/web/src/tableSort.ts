// Sorting and filtering of the shipment table, in the browser.

import type { Shipment } from "./api";

export type Column = "id" | "receiver" | "state";
export type Direction = "ascending" | "descending";

const STATE_ORDER: Shipment["state"][] = ["ordered", "collected", "in-transit", "delivered", "returned"];

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** A stable comparison of two rows by one column. */
export function compareRows(a: Shipment, b: Shipment, column: Column): number {
  if (column === "state") return STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state);
  return collator.compare(a[column], b[column]);
}

/** Rows in the wanted order; the input stays as it is. */
export function sortRows(rows: readonly Shipment[], column: Column, direction: Direction): Shipment[] {
  const sign = direction === "ascending" ? 1 : -1;
  return [...rows].sort((a, b) => sign * compareRows(a, b, column));
}

/** A second click on a column turns the order around. */
export function nextDirection(current: Direction | undefined): Direction {
  return current === "ascending" ? "descending" : "ascending";
}

/** Rows that hold every word of `search`, whatever its case. */
export function filterRows(rows: readonly Shipment[], search: string): Shipment[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => {
    const text = `${row.id} ${row.receiver} ${row.state}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}
