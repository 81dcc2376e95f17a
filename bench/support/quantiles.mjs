// What many samples say together.

/** @param share 0.5: the median */
export function quantile (samples, share) {
  const sorted = Float64Array.from(samples).sort()
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

export function median (samples) {
  return quantile(samples, 0.5)
}

/** The cells of a table: median, least and most. */
export function spread (samples, digits) {
  return [median(samples), Math.min(...samples), Math.max(...samples)].map((value) => value.toFixed(digits))
}
