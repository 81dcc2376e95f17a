// Account routes about everything but keys: the session's profile, the policy, usage, sites and the audit log.
import type { AuditOptions } from '../../audit/audit-log.js'
import type { UsageWindow } from '../../usage/windows.js'
import { AuditAnswer, ErrorAnswer, NoAnswer, PolicyAnswer, ProfileAnswer, SiteAnswer, SiteListAnswer, UsageAnswer } from '../answer-schemas.js'
import { AuditQuery, SiteBody, SiteIdParams, UsageQuery } from '../request-schemas.js'
import { actorOf } from '../request-state.js'
import type { SelfServeKeys } from '../self-serve-keys.js'
import { paramOf, type StandardRoute } from './standard-route.js'

export function accountDataRoutes ({ policy, usage, sites, audit }: SelfServeKeys): StandardRoute[] {
  return [
    {
      parts: ['profile'],
      action: 'profile:read',
      method: 'GET',
      url: '',
      schema: {
        operationId: 'getProfile',
        summary: 'Who is signed in, as the session tells it',
        response: { 200: ProfileAnswer, '4xx': ErrorAnswer }
      },
      handler: async ({ caller }, reply) => {
        const profile = caller?.via === 'session' ? caller.account.profile : undefined
        if (profile !== undefined) return profile
        reply.callNotFound()
        return await reply
      }
    },
    {
      parts: ['defaultKey', 'keys'],
      action: 'policy:read',
      method: 'GET',
      url: '/policy',
      schema: {
        operationId: 'getPolicy',
        summary: 'What the account may do: scopes, number and lifetime of its keys, sites',
        response: { 200: PolicyAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => await policy.of(actorOf(request).accountId)
    },
    {
      parts: ['usage'],
      action: 'usage:read',
      method: 'GET',
      url: '/usage',
      schema: {
        operationId: 'getUsage',
        summary: 'Recent usage, failures and per-key totals of the account: an operational window, not a bill',
        querystring: UsageQuery,
        response: { 200: UsageAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => {
        const { window } = request.query as { window?: UsageWindow }
        return await usage.snapshot(actorOf(request).accountId, { window })
      }
    },
    {
      parts: ['sites'],
      action: 'sites:read',
      method: 'GET',
      url: '/sites',
      schema: {
        operationId: 'listSites',
        summary: 'The origins that publishable keys may be used from, newest first',
        response: { 200: SiteListAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => await sites.list(actorOf(request).accountId)
    },
    {
      parts: ['sites'],
      action: 'sites:add',
      method: 'POST',
      url: '/sites',
      schema: {
        operationId: 'addSite',
        summary: 'Add an origin that publishable keys may be used from; one that is there is answered as it is',
        body: SiteBody,
        response: { 201: SiteAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request, reply) => {
        reply.code(201)
        return await sites.add(actorOf(request), (request.body as { name: string }).name)
      }
    },
    {
      parts: ['sites'],
      action: 'sites:remove',
      method: 'DELETE',
      url: '/sites/:siteId',
      schema: {
        operationId: 'removeSite',
        summary: 'Remove a site',
        params: SiteIdParams,
        response: { 204: NoAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request, reply) => {
        await sites.remove(actorOf(request), paramOf(request, 'siteId'))
        return await reply.code(204).send()
      }
    },
    {
      parts: ['audit'],
      action: 'audit:read',
      method: 'GET',
      url: '/audit',
      schema: {
        operationId: 'getAudit',
        summary: 'What was changed in the account, by whom and when, newest first',
        querystring: AuditQuery,
        response: { 200: AuditAnswer, '4xx': ErrorAnswer }
      },
      handler: async (request) => await audit.list(actorOf(request).accountId, request.query as AuditOptions)
    }
  ]
}
