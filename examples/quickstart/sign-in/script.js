// Posts the form of its page to Better Auth as JSON, shows why that was refused, or goes on to the next page.
/* global document, FormData, location */
const form = document.querySelector('form')
const message = form.querySelector('[role=alert]')

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  // Not by disabling the button, which would take the focus from it.
  if (form.ariaBusy === 'true') return
  form.ariaBusy = 'true'
  message.textContent = ''
  try {
    const answer = await fetch(form.dataset.post, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Object.fromEntries(new FormData(form)))
    })
    if (answer.ok) location.assign(form.dataset.next)
    else message.textContent = (await answer.json()).message
  } catch {
    message.textContent = 'The server gave no answer. Try again.'
  }
  form.ariaBusy = 'false'
})
