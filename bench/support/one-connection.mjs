// One connection over which one request after the other is sent, as text that is made beforehand, and timed to its last byte.
import { once } from 'node:events'
import { connect } from 'node:net'

const END_OF_HEAD = '\r\n\r\n'

/** @returns `ask(text)`: { status, body, time }, µs from the first byte sent to the last one read */
export async function openConnection (url) {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname).setNoDelay()
  await once(socket, 'connect')
  let answered = null
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    const now = performance.now()
    text += chunk
    const head = text.indexOf(END_OF_HEAD)
    if (head === -1) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)[1])
    const body = text.slice(head + END_OF_HEAD.length)
    if (body.length < length) return
    const status = Number(text.slice(9, 12))
    text = ''
    answered({ status, body, now })
  })
  return {
    async ask (text) {
      const answer = new Promise((resolve) => { answered = resolve })
      const begun = performance.now()
      socket.write(text)
      const { status, body, now } = await answer
      return { status, body, time: (now - begun) * 1000 }
    },
    close () { socket.destroy() }
  }
}

/** @param headers by name @param body text of JSON */
export function requestText (method, path, headers, body) {
  const all = { host: 'localhost', ...headers, ...(body !== undefined && { 'content-type': 'application/json', 'content-length': body.length }) }
  return [`${method} ${path} HTTP/1.1`, ...Object.entries(all).map(([name, value]) => `${name}: ${value}`), '', body ?? ''].join('\r\n')
}
