// Passkeys are the one thing that needs JavaScript: the browser's own ceremony, between two calls of the server.

const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST", credentials: "same-origin",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error?.message ?? `The server answered ${answer.status}`);
  return told;
}

function options(told) {
  const found = told.options;
  const shape = { ...found, challenge: decode(found.challenge) };
  if (found.user) shape.user = { ...found.user, id: decode(found.user.id) };
  for (const list of ["excludeCredentials", "allowCredentials"]) {
    if (found[list]) shape[list] = found[list].map((one) => ({ ...one, id: decode(one.id) }));
  }
  return shape;
}

function sent(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = encode(credential.response[name]);
  }
  if (credential.response.getTransports) response.transports = credential.response.getTransports();
  return {
    id: credential.id, rawId: encode(credential.rawId), type: credential.type, response,
    clientExtensionResults: credential.getClientExtensionResults(),
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
  };
}

function failed(error) {
  let place = document.querySelector(".error");
  if (!place) {
    place = document.createElement("p");
    place.className = "error";
    place.setAttribute("role", "alert");
    document.querySelector("h1").after(place);
  }
  place.textContent = error.message;
}

const signIn = document.getElementById("passkey");
const add = document.getElementById("add-passkey");

if (window.PublicKeyCredential) {
  for (const button of [signIn, add]) if (button) button.hidden = false;
}

signIn?.addEventListener("click", async () => {
  try {
    const begun = await post("/api/auth/passkey/login/begin", {});
    const credential = await navigator.credentials.get({ publicKey: options(begun) });
    await post("/api/auth/passkey/login/finish", sent(credential));
    location.assign(signIn.dataset.returnTo);
  } catch (error) { failed(error); }
});

add?.addEventListener("click", async () => {
  try {
    const begun = await post("/api/auth/passkey/register/begin", {});
    const credential = await navigator.credentials.create({ publicKey: options(begun) });
    await post("/api/auth/passkey/register/finish", sent(credential));
    location.assign(add.dataset.returnTo ?? "/auth/account?done=remove-passkey#passkeys");
  } catch (error) { failed(error); }
});
