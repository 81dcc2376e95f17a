// The options about the page, checked and completed, and what the page needs of the others.
import type { FastifyPluginAsync } from 'fastify'
import type { SessionResolver } from '../sessions/session.js'
import type { DashboardFeatures } from './dashboard-options.js'
import type { StandardRouteSwitches } from './options.js'
import { isList, lookAt, readBoolean, readList, readObject, readOptionalObject, readString, readText, refuseOption } from './reader.js'

export interface CompleteDashboard {
  /** A pattern: parameters are whole segments. */
  readonly path: string
  readonly title: string
  /** null: the page's own. */
  readonly accentColor: string | null
  readonly logo: string | null
  readonly links: ReadonlyArray<{ readonly text: string, readonly url: string }>
  readonly signInUrl: string | null
  readonly exampleUrl: string | null
  /** What is shown. */
  readonly features: ReadonlyArray<keyof DashboardFeatures>
}

/** What other options say, as they were completed. */
export interface DashboardNeeds {
  readonly routePrefix: string
  readonly routes: false | Required<StandardRouteSwitches> | FastifyPluginAsync
  readonly usage: object | null
  readonly session: SessionResolver | null
  readonly cookieMutationOrigins: readonly string[] | null
}

const FEATURES = ['defaultKey', 'keys', 'usage', 'sites', 'audit'] as const satisfies ReadonlyArray<keyof DashboardFeatures>
/** Segments that a browser leaves as they are, and parameters that are whole segments: their values can be put in their place. */
const PLAIN_PATH = /^(\/(?!\.{1,2}(\/|$))([\w.~-]+|:\w+))+$/
const TITLE = /^(?!\s*$)[^\p{Cc}\p{Cs}]{1,60}$/u
const TITLE_RULE = 'must have 1 to 60 printable characters'
/** Not `//`, which leads to another host, nor `\`, which browsers read as `/`. */
const OWN_PATH = /^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/
const IMAGE = /^data:image\/(png|svg\+xml|webp|jpeg);base64,[A-Za-z0-9+/]+={0,2}$/
const MAX_LOGO = 64_000
const MAX_LINKS = 8

/** null: no page. @throws INVALID_OPTION */
export function readDashboard (value: unknown, needs: DashboardNeeds): CompleteDashboard | null {
  if (value === undefined || value === false) return null
  const given = value === true
    ? {}
    : readObject('dashboard', value, ['path', 'title', 'accentColor', 'logo', 'links', 'signInUrl', 'exampleUrl', 'features'])
  checkNeeds(needs)
  return {
    path: readPath(given.path, needs.routePrefix),
    title: readString('dashboard.title', given.title, 'API keys', TITLE, TITLE_RULE),
    accentColor: readString('dashboard.accentColor', given.accentColor, null, /^#[0-9A-Fa-f]{6}$/, 'must be a colour such as \'#0a7e5c\''),
    logo: readLogo(given.logo),
    links: readLinks(given.links),
    signInUrl: readOptionalUrl('dashboard.signInUrl', given.signInUrl),
    exampleUrl: readOptionalUrl('dashboard.exampleUrl', given.exampleUrl),
    features: readFeatures(given.features, needs)
  }
}

function checkNeeds ({ routes, session, cookieMutationOrigins }: DashboardNeeds): void {
  if (routes === false) refuseOption('dashboard', 'needs the account routes, which "routes" switches off')
  if (session?.cookie === undefined) refuseOption('dashboard', 'needs a session with cookie(): a browser comes with nothing else')
  if (session.token === undefined && cookieMutationOrigins === null) {
    refuseOption('dashboard', 'needs a session with token(), or cookieMutations: the page could change nothing')
  }
}

function readPath (value: unknown, routePrefix: string): string {
  const path = readString('dashboard.path', value, '/api-key', PLAIN_PATH, 'must be a path such as \'/api-key\' of letters, digits, -, ., _, ~ and whole parameters')
  const wanted = paramsOf(routePrefix)
  if (wanted.length > 0 && !PLAIN_PATH.test(routePrefix)) {
    refuseOption('routePrefix', 'must have parameters that are whole segments, such as \'/:workspaceId\', where there is a dashboard')
  }
  if (paramsOf(path).toSorted().join() !== wanted.toSorted().join()) {
    refuseOption('dashboard.path', `must have the parameters of routePrefix: ${wanted.join(', ') || 'none'}`)
  }
  return path
}

function paramsOf (pattern: string): string[] {
  return pattern.match(/[:*][^/]*/g) ?? []
}

function readLogo (value: unknown): string | null {
  if (value === undefined) return null
  const rule = `must be a path on this origin, or a PNG, SVG, WebP or JPEG image as data:image/…;base64,… of at most ${MAX_LOGO} characters`
  const isLogo = typeof value === 'string' && value.length <= MAX_LOGO && (OWN_PATH.test(value) || IMAGE.test(value))
  return isLogo ? value : refuseOption('dashboard.logo', rule)
}

function readLinks (value: unknown): CompleteDashboard['links'] {
  if (value === undefined) return []
  if (!isList('dashboard.links', value) || lookAt('dashboard.links', () => value.length) > MAX_LINKS) refuseOption('dashboard.links', `must be a list of at most ${MAX_LINKS}`)
  return readList('dashboard.links', value, (name, item) => {
    const { text, url } = readObject(name, item, ['text', 'url'])
    return { text: readText(`${name}.text`, text, TITLE, TITLE_RULE), url: readUrl(`${name}.url`, url) }
  })
}

function readOptionalUrl (option: string, value: unknown): string | null {
  return value === undefined ? null : readUrl(option, value)
}

function readUrl (option: string, value: unknown): string {
  const isUrl = typeof value === 'string' && (OWN_PATH.test(value) || (/^https:\/\/[\x21-\x7e]+$/.test(value) && URL.canParse(value)))
  return isUrl ? value : refuseOption(option, 'must be a path on this origin such as \'/sign-in\', or an https URL')
}

function readFeatures (value: unknown, { routes, usage }: DashboardNeeds): CompleteDashboard['features'] {
  const given = readOptionalObject('dashboard.features', value, FEATURES)
  // A host's own routes say nothing of what they are.
  const switches = typeof routes === 'object' ? routes : null
  return FEATURES.filter((name) => {
    const wanted = readBoolean(`dashboard.features.${name}`, given[name], true)
    return wanted && (switches === null || switches[name]) && (name !== 'usage' || usage !== null)
  })
}
