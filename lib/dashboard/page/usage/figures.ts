// The numbers of the usage section: columns for its chart, shares, and how a rate and a tick are written.
import type { UsagePerKey, UsageTimelineSlot } from '../../../usage/snapshot.js'

type Timeline = readonly UsageTimelineSlot[]
/** Middle of each slot (ms), requests, failures. */
export type Columns = [middles: number[], requests: number[], failures: number[]]

/** As the chart takes them: the middle that is nearest to a pointer is that of the slot below it. */
export function columnsOf (timeline: Timeline): Columns {
  const half = slotLength(timeline.map(({ start }) => Date.parse(start))) / 2
  return [
    timeline.map(({ start }) => Date.parse(start) + half),
    timeline.map(({ requests }) => requests),
    timeline.map(({ failures }) => failures)
  ]
}

/** Where the first slot begins and the last one ends, ms. */
export function edgesOf (middles: readonly number[]): [number, number] {
  const half = slotLength(middles) / 2
  return [middles[0]! - half, middles.at(-1)! + half]
}

/** Every slot of a timeline is as long as the first. */
function slotLength (times: readonly number[]): number {
  return times[1]! - times[0]!
}

/** Those in which something happened. */
export function busySlots (timeline: Timeline): UsageTimelineSlot[] {
  return timeline.filter(({ requests }) => requests > 0)
}

export interface Bar {
  /** Of the widest bar, %. */
  readonly width: number
  /** Of the bar itself, %. */
  readonly failed: number
}

/** The keys' requests, each beside the most of any. What is there can be seen, however little it is beside the rest. */
export function barsOf (perKey: ReadonlyArray<Pick<UsagePerKey, 'requests' | 'failures'>>): Bar[] {
  const most = Math.max(...perKey.map(({ requests }) => requests))
  return perKey.map(({ requests, failures }) => ({ width: shareOf(requests, most), failed: shareOf(failures, requests) }))
}

/** % of a whole; of something at least 1. */
function shareOf (part: number, whole: number): number {
  return part === 0 ? 0 : Math.max(1, part / whole * 100)
}

const FINEST = 0.001

/** How many of them failed, in %. Not none where one did, and not all where one did not. @returns null where there were none */
export function rateText (failures: number, requests: number, locale: string): string | null {
  if (requests === 0) return null
  const rate = failures / requests
  const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 })
  if (rate > 0 && rate < FINEST) return `< ${percent.format(FINEST)}`
  if (rate < 1 && rate > 1 - FINEST) return `> ${percent.format(1 - FINEST)}`
  return percent.format(rate)
}

const DAY = 86_400_000

/** The texts of ticks on the axis of time, in the reader's time zone: the hour, and the day where one begins. */
export function tickTexts (locale: string): (ticks: readonly number[], step: number) => string[] {
  const time = new Intl.DateTimeFormat(locale, { hour: 'numeric', minute: '2-digit' })
  const day = new Intl.DateTimeFormat(locale, { month: 'short', day: 'numeric' })
  return (ticks, step) => ticks.map((tick) => {
    const date = new Date(tick)
    const midnight = date.getHours() === 0 && date.getMinutes() === 0
    return (step >= DAY || midnight ? day : time).format(date)
  })
}
