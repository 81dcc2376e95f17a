// Whether two samples can be told apart: by their medians, and by how often one of this is larger than one of that.

/**
 * @returns the medians and `difference`, right less left; `effect`, the Mann–Whitney test's as a rank correlation: how much more often
 *   one of the right is larger than one of the left than the other way round. 0: neither, 1: always
 */
export function compare (left, right) {
  const sorted = [left, right].map((sample) => Float64Array.from(sample).sort())
  const [leftMedian, rightMedian] = sorted.map(middle)
  return { left: leftMedian, right: rightMedian, difference: rightMedian - leftMedian, effect: larger(...sorted) / (left.length * right.length) }
}

function middle (sorted) {
  const half = sorted.length / 2
  return (sorted[Math.ceil(half) - 1] + sorted[Math.floor(half)]) / 2
}

/** Pairs of one each in which the right is larger, less those in which the left is. */
function larger (left, right) {
  let [below, upTo, sum] = [0, 0, 0]
  for (const one of right) {
    while (below < left.length && left[below] < one) below++
    while (upTo < left.length && left[upTo] <= one) upTo++
    sum += below - (left.length - upTo)
  }
  return sum
}
