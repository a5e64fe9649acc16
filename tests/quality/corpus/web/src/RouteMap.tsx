// Draws a driver's tour on a map: stops as numbered pins, the way between them, the van's last known place.

import { useMemo } from "react";

export interface Stop {
  label: string;
  latitude: number;
  longitude: number;
  delivered: boolean;
}

interface Props {
  stops: Stop[];
  van?: { latitude: number; longitude: number };
  width: number;
  height: number;
}

const EARTH_RADIUS_KM = 6371;

/** Kilometres between two places along the great circle (haversine). */
export function distanceKm(a: { latitude: number; longitude: number }, b: { latitude: number; longitude: number }) {
  const rad = Math.PI / 180;
  const dLat = (b.latitude - a.latitude) * rad;
  const dLon = (b.longitude - a.longitude) * rad;
  const h =
    Math.sin(dLat / 2) ** 2 + Math.cos(a.latitude * rad) * Math.cos(b.latitude * rad) * Math.sin(dLon / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(h));
}

export function RouteMap({ stops, van, width, height }: Props) {
  const project = useMemo(() => {
    const lats = stops.map((stop) => stop.latitude);
    const lons = stops.map((stop) => stop.longitude);
    const [south, north] = [Math.min(...lats), Math.max(...lats)];
    const [west, east] = [Math.min(...lons), Math.max(...lons)];
    return (place: { latitude: number; longitude: number }) => ({
      x: ((place.longitude - west) / (east - west || 1)) * width,
      y: ((north - place.latitude) / (north - south || 1)) * height,
    });
  }, [stops, width, height]);

  const points = stops.map(project);
  return (
    <svg width={width} height={height} role="img" aria-label={`Tour with ${stops.length} stops`}>
      <polyline points={points.map((p) => `${p.x},${p.y}`).join(" ")} fill="none" stroke="currentColor" />
      {points.map((p, index) => (
        <g key={stops[index].label} opacity={stops[index].delivered ? 0.4 : 1}>
          <circle cx={p.x} cy={p.y} r={9} />
          <text x={p.x} y={p.y + 4} textAnchor="middle">
            {index + 1}
          </text>
        </g>
      ))}
      {van && <rect {...project(van)} width={12} height={8} className="van" />}
    </svg>
  );
}
