// The keys, a row each.
import type { ApiKey } from '../answers.js'
import { useSettings } from '../settings.js'
import { Table } from '../widgets/table.js'
import { Ago } from '../widgets/time.js'
import { Expires, Kind, RateLimits, ScopeList, Status } from './key-words.js'

/** @param all of which `keys` are those to show */
export function KeyTable ({ keys, all, onManage }: { keys: readonly ApiKey[], all: readonly ApiKey[], onManage: (apiKey: ApiKey) => void }) {
  const { say, format } = useSettings()
  return (
    <Table<ApiKey>
      title={say('keys.list')} rows={keys} idOf={({ publicId }) => publicId} columns={[
        {
          name: 'label',
          title: say('key.label'),
          cell: ({ label, maskedKey, isDefault }) => (
            <>
              <strong class='wrap'>{label}</strong> {isDefault && <span class='badge'>{say('keys.default')}</span>}
              <br /><code class='nowrap'>{maskedKey}</code>
            </>
          )
        },
        { name: 'kind', title: say('key.kind'), cell: (apiKey) => <Kind apiKey={apiKey} /> },
        { name: 'scopes-cell', title: say('key.scopes'), cell: ({ scopes }) => <ScopeList scopes={scopes} /> },
        { name: 'status', title: say('key.status'), cell: (apiKey) => <Status apiKey={apiKey} keys={all} /> },
        { name: 'limit', title: say('key.limit'), cell: ({ rateLimits }) => <RateLimits rateLimits={rateLimits} /> },
        {
          name: 'created',
          title: say('key.created'),
          cell: ({ createdAt, createdBy }) => (
            <>
              <time dateTime={createdAt} title={format.time(createdAt)}>{format.day(createdAt)}</time>
              {createdBy !== null && <small class='wrap'>{say('key.by', { name: createdBy })}</small>}
            </>
          )
        },
        { name: 'used', title: say('key.used'), cell: ({ lastUsedAt }) => <Ago time={lastUsedAt} empty={say('never')} /> },
        { name: 'expires', title: say('key.expires'), cell: (apiKey) => <Expires apiKey={apiKey} /> },
        {
          name: 'actions',
          title: say('key.actions'),
          quiet: true,
          cell: (apiKey) => (
            <button type='button' part='button' aria-label={say('keys.manage.what', { label: apiKey.label, key: apiKey.maskedKey })} onClick={() => { onManage(apiKey) }}>
              {say('keys.manage')}
            </button>
          )
        }
      ]}
    />
  )
}
