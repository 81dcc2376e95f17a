// The client of a soak: asks over connections that it keeps, and counts what each key was answered.
import { Agent, request } from 'node:http'
import { connect } from 'node:net'

const CONNECTIONS = 64
/** Of what should not have been answered, so many are told in full. */
const TOLD = 10

export function startClient (base) {
  const { hostname, port } = new URL(base)
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS })
  /** By public id: what was certainly recorded, and what may have been. */
  const tally = new Map()
  const counts = { requests: 0, hangUps: 0, unexpected: 0, serverErrors: 0, broken: 0, told: 0 }
  const byStatus = new Map()

  const countedOf = (key) => {
    if (!tally.has(key.publicId)) tally.set(key.publicId, { requests: 0, failures: 0, uncertain: 0 })
    return tally.get(key.publicId)
  }
  /** The key was identified, whatever became of the request. */
  const count = (key, status) => {
    if (key === undefined) return
    const counted = countedOf(key)
    counted.requests++
    if (status >= 400) counted.failures++
  }
  const tell = (text) => { if (counts.told++ < TOLD) console.log(text) }
  const judge = (what, status, expected, text) => {
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1)
    if (status >= 500) counts.serverErrors++
    const right = expected.includes(status)
    if (!right) {
      counts.unexpected++
      tell(`${what} was answered ${status}: ${text.slice(0, 300)}`)
    }
    return right
  }
  const broke = (what, error) => {
    counts.broken++
    tell(`${what}: ${error.message}`)
  }

  return {
    tally,
    counts,
    byStatus,

    /**
     * @param key the key of ours that the request presents, in whatever header
     * @param expected statuses that are right
     * @returns the answer's body, parsed where it is JSON; rejects if the answer is not a right one, which is counted
     */
    ask ({ method = 'GET', path, headers, body, key, expected }) {
      const what = `${method} ${path}`
      counts.requests++
      return new Promise((resolve, reject) => {
        const asked = request({
          hostname, port, agent, method, path, headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers }
        }, (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (chunk) => { text += chunk })
          answer.on('end', () => {
            count(key, answer.statusCode)
            if (judge(what, answer.statusCode, expected, text)) resolve(/^[{[]/.test(text) ? JSON.parse(text) : text)
            else reject(new Error(text))
          })
        })
        asked.on('error', (error) => {
          broke(what, error)
          if (key !== undefined) countedOf(key).uncertain++
          reject(error)
        })
        asked.end(body === undefined ? undefined : JSON.stringify(body))
      })
    },

    /** Hangs up once the answer has begun: by then the key was identified, so that this is one event, and a failure. */
    hangUpLater ({ path, headers, key }) {
      counts.hangUps++
      return new Promise((resolve) => {
        let begun = false
        const asked = request({ hostname, port, agent: false, path, headers }, (answer) => {
          answer.once('data', () => {
            begun = true
            judge(`GET ${path}`, answer.statusCode, [200], '')
            count(key, 499)
            asked.destroy()
            resolve()
          })
          // What hanging up looks like from here.
          answer.on('error', () => {})
        })
        asked.on('error', (error) => {
          if (begun) return
          broke(`GET ${path}`, error)
          countedOf(key).uncertain++
          resolve()
        })
        asked.end()
      })
    },

    /** Sends a whole request and hangs up at once. Nobody can tell from here whether it was read. */
    hangUpNow ({ path, headers, key }) {
      counts.hangUps++
      if (key !== undefined) countedOf(key).uncertain++
      return new Promise((resolve) => {
        const socket = connect(Number(port), hostname, () => {
          const lines = Object.entries({ host: hostname, ...headers }).map(([name, value]) => `${name}: ${value}`)
          socket.write([`GET ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n'), () => { socket.destroy() })
        })
        socket.on('error', () => {})
        socket.on('close', resolve)
      })
    },

    end () { agent.destroy() }
  }
}
