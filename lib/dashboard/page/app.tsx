// The whole of what is shown: who is signed in, the sections, and what is said of them all.
import type { ComponentType } from 'preact'
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Feature } from '../element.js'
import type { Issued } from './answers.js'
import { ApiError } from './api.js'
import { AuditSection } from './audit/audit-section.js'
import { IssuedDialog } from './keys/issued-dialog.js'
import { KeysSection } from './keys/keys-section.js'
import { SettingsProvider, useSettings, type Settings } from './settings.js'
import { SitesSection } from './sites/sites-section.js'
import { UsageSection } from './usage/usage-section.js'
import { SignInLink } from './widgets/notice.js'
import { Said, SaidProvider } from './widgets/said.js'
import { Tabs } from './widgets/tabs.js'

type Section = Exclude<Feature, 'defaultKey'>
const SECTIONS: ReadonlyArray<{ name: Section, Body: ComponentType }> = [
  { name: 'keys', Body: KeysSection },
  { name: 'usage', Body: UsageSection },
  { name: 'sites', Body: SitesSection },
  { name: 'audit', Body: AuditSection }
]

/** `unknown`: nothing was answered yet. `lost`: somebody was signed in, and no longer is. */
type Session = 'unknown' | 'in' | 'out' | 'lost'

/** ms until what had no answer is asked for again. */
const RETRY = 5000

/** @param props.generation moves when the host asks for everything anew */
export function App (props: Omit<Settings, 'announce' | 'onRead' | 'show'>) {
  const { say, features, signInUrl, tell } = props
  const [session, setSession] = useState<Session>('unknown')
  const [returns, setReturns] = useState(0)
  /** New keys, of which the first is shown. Above the sections: an answer may come when its section is no longer there. */
  const [issued, setIssued] = useState<readonly Issued[]>([])
  const away = useRef(false)
  useLayoutEffect(() => () => { away.current = true }, [])
  const [said, setSaid] = useState('')
  useEffect(() => {
    // Whoever comes upon it later would take it for news.
    const timer = setTimeout(() => { setSaid('') }, 5000)
    return () => { clearTimeout(timer) }
  }, [said])
  const [unreached, setUnreached] = useState(false)
  const offline = useOffline()
  const sections = SECTIONS.filter(({ name }) => features[name])
  const [chosen, setSection] = useState<Section | null>(null)
  const { name: section = null, Body } = sections.find(({ name }) => name === chosen) ?? sections[0] ?? {}

  const onRead = useCallback((failure: unknown) => {
    setUnreached(failure instanceof ApiError && failure.kind === 'offline')
    if (failure === null) setSession('in')
    else if (failure instanceof ApiError && failure.kind === 'signed-out') setSession((before) => before === 'in' || before === 'lost' ? 'lost' : 'out')
  }, [])
  const gone = session === 'out' || session === 'lost'
  useEffect(() => { if (gone) tell('auth-required', { during: 'read' }) }, [gone])

  // Whoever comes back may have signed in elsewhere, as somebody else too; whoever is back online wants what is new.
  useEffect(() => {
    const back = (): void => { if (document.visibilityState === 'visible') setReturns((number) => number + 1) }
    document.addEventListener('visibilitychange', back)
    if (gone) addEventListener('focus', back)
    return () => {
      document.removeEventListener('visibilitychange', back)
      removeEventListener('focus', back)
    }
  }, [gone])
  // A browser may keep a page that was left as it was, and bring it back by its back button.
  useEffect(() => {
    const leave = (): void => { setIssued([]) }
    addEventListener('pagehide', leave)
    return () => { removeEventListener('pagehide', leave) }
  }, [])
  const wasOffline = useRef(offline)
  useEffect(() => {
    if (wasOffline.current && !offline) setReturns((number) => number + 1)
    wasOffline.current = offline
  }, [offline])
  // A browser may say that it is online before requests get through, and a server may be away for a moment.
  useEffect(() => {
    if (!unreached || offline) return
    const timer = setInterval(() => { setReturns((number) => number + 1) }, RETRY)
    return () => { clearInterval(timer) }
  }, [unreached, offline])
  const generation = props.generation + returns
  useEffect(() => { setSession((before) => before === 'out' ? 'unknown' : before) }, [generation])

  const settings = useMemo<Settings>(() => ({
    ...props,
    generation,
    onRead,
    // What is told to a component that is gone would bring it back.
    show: (one) => { if (!away.current) setIssued((others) => [...others, one]) },
    // The same words twice are said twice.
    announce: (message) => { if (!away.current) setSaid((before) => before === message ? `${message}\u00a0` : message) }
  }), [...Object.values(props), generation])

  return (
    <SettingsProvider value={settings}>
      <SaidProvider value={said}>
        <div class='app' part='app'>
          <Said />
          {offline && <div class='notice' part='notice' role='alert'><p>{say('offline.text')}</p></div>}
          {session === 'lost' && (
            <div class='notice bad' part='notice' role='alert'>
              <p>{say('lost.text')}</p>
              {signInUrl !== null && <SignInLink url={signInUrl} />}
            </div>
          )}
          {session === 'out' && <SignedOut />}
          {session !== 'out' && (
            <Tabs<Section> label={say('tabs')} tabs={sections.map(({ name }) => ({ name, title: say(`tab.${name}`) }))} chosen={section} onChoose={setSection}>
              {Body !== undefined && <Body />}
            </Tabs>
          )}
          {issued[0] !== undefined && <IssuedDialog key={issued[0].apiKey.publicId} issued={issued[0]} onClose={() => { setIssued(([, ...others]) => others) }} />}
        </div>
      </SaidProvider>
    </SettingsProvider>
  )
}

function SignedOut () {
  const { say, signInUrl } = useSettings()
  return (
    <div class='empty' part='empty'>
      <h2>{say('signed-out.title')}</h2>
      <p>{say('signed-out.text')}</p>
      {signInUrl !== null && <a class='button primary' part='button primary' href={signInUrl}>{say('signed-out.link')}</a>}
    </div>
  )
}

function useOffline (): boolean {
  const [offline, setOffline] = useState(!navigator.onLine)
  useEffect(() => {
    const look = (): void => { setOffline(!navigator.onLine) }
    addEventListener('online', look)
    addEventListener('offline', look)
    return () => {
      removeEventListener('online', look)
      removeEventListener('offline', look)
    }
  }, [])
  return offline
}
