// The corpus: every odd request, by what is odd about it.
import type { Twist } from '../message.js'
import { BODIES } from './bodies.js'
import { AMBIGUOUS, FRAMING } from './framing.js'
import { HEADERS } from './headers.js'
import { TARGETS } from './targets.js'

export { AMBIGUOUS } from './framing.js'

export const CORPUS: Readonly<Record<string, Twist>> = { ...AMBIGUOUS, ...FRAMING, ...HEADERS, ...TARGETS, ...BODIES }
