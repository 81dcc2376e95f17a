// The API behind the keys: notes, in a SQLite file of the host's own. Everybody has their own.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import Database from 'better-sqlite3'
import { getApiKey, protect } from 'fastify-self-serve-keys'
import { text } from './text.js'

const NoteNotFound = createError('NOTE_NOT_FOUND', 'There is no such note.', 404)
const NoteBody = Type.Object({ text: text(1, 10_000) }, { additionalProperties: false })
const NoteId = Type.Object({ note_id: Type.String() })

interface Note { id: string, text: string, created_at: string, updated_at: string }
const COLUMNS = 'id, text, created_at, updated_at'

export interface Notes {
  add (owner: string, text: string): Note
  /** The newest hundred. */
  list (owner: string): Note[]
  find (owner: string, id: string): Note | undefined
  change (owner: string, id: string, text: string): Note | undefined
  remove (owner: string, id: string): boolean
  close (): void
}

export function openNotes (dataDir: string): Notes {
  const database = new Database(join(dataDir, 'notes.db'))
  database.exec(`create table if not exists notes (
    sequence integer primary key, id text not null unique, owner text not null, text text not null, created_at text not null, updated_at text not null
  );
  create index if not exists notes_owner on notes (owner, sequence);`)
  const insert = database.prepare<string[], Note>(`insert into notes (id, owner, text, created_at, updated_at) values (?, ?, ?, ?, ?) returning ${COLUMNS}`)
  const select = database.prepare<string[], Note>(`select ${COLUMNS} from notes where owner = ? order by sequence desc limit 100`)
  const selectOne = database.prepare<string[], Note>(`select ${COLUMNS} from notes where owner = ? and id = ?`)
  const update = database.prepare<string[], Note>(`update notes set text = ?, updated_at = ? where owner = ? and id = ? returning ${COLUMNS}`)
  const remove = database.prepare<string[]>('delete from notes where owner = ? and id = ?')
  const now = (): string => new Date().toISOString().replace(/\.\d+/, '')
  return {
    add (owner, text) {
      const time = now()
      return insert.get(randomUUID(), owner, text, time, time)!
    },
    list: (owner) => select.all(owner),
    find: (owner, id) => selectOne.get(owner, id),
    change: (owner, id, text) => update.get(text, now(), owner, id),
    remove: (owner, id) => remove.run(owner, id).changes === 1,
    close () { database.close() }
  }
}

export function notesRoutes (notes: Notes): FastifyPluginAsyncTypebox {
  return async (scope) => {
    protect(scope)
    const ownerOf = (request: Parameters<typeof getApiKey>[0]): string => getApiKey(request).accountId
    const found = (note: Note | undefined): Note => {
      if (note === undefined) throw new NoteNotFound()
      return note
    }

    scope.post('', { schema: { body: NoteBody } }, async (request, reply) => {
      reply.code(201)
      return notes.add(ownerOf(request), request.body.text)
    })
    scope.get('', async (request) => notes.list(ownerOf(request)))
    scope.get('/:note_id', { schema: { params: NoteId } }, async (request) => found(notes.find(ownerOf(request), request.params.note_id)))
    scope.put('/:note_id', { schema: { params: NoteId, body: NoteBody } }, async (request) =>
      found(notes.change(ownerOf(request), request.params.note_id, request.body.text)))
    scope.delete('/:note_id', { schema: { params: NoteId } }, async (request, reply) => {
      if (!notes.remove(ownerOf(request), request.params.note_id)) throw new NoteNotFound()
      return await reply.code(204).send()
    })
  }
}
