// A load balancer, as small as it gets: each request goes to the next instance, and past one that is not there.
import http from 'node:http'

/** @param ports of the instances that are there; read for each request */
export function roundRobin (ports: () => readonly number[]): http.Server {
  let turn = 0

  const forward = (request: http.IncomingMessage, response: http.ServerResponse, attempts: number): void => {
    const there = ports()
    if (there.length === 0 || attempts === 0) {
      response.writeHead(502, { 'content-type': 'text/plain' }).end('No instance is there.\n')
      return
    }
    const port = there[turn++ % there.length]!
    const headers = { ...request.headers, 'x-forwarded-for': request.socket.remoteAddress }
    const outgoing = http.request({ host: '127.0.0.1', port, method: request.method, path: request.url, headers })
    let connected = false
    outgoing.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => { connected = true })
      else connected = true
    })
    outgoing.once('response', (answer) => {
      response.writeHead(answer.statusCode!, answer.rawHeaders)
      answer.pipe(response)
      answer.once('error', () => { response.destroy() })
    })
    outgoing.once('error', () => {
      // What may have been received is not sent twice: the client decides, with an Idempotency-Key.
      if (response.headersSent) response.destroy()
      else if (connected) response.writeHead(502, { 'content-type': 'text/plain' }).end('The instance ended.\n')
      else forward(request, response, attempts - 1)
    })
    response.once('close', () => { outgoing.destroy() })
    request.pipe(outgoing)
  }

  return http.createServer((request, response) => { forward(request, response, ports().length) })
}
