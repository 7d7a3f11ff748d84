// Starts Swagger UI with the published document.
"use strict";

(() => {
  const SESSIONS = "/api/v3/auth/token";
  const SCHEME = "token";

  const texts = (tag, { operation, path, method }) => [
    tag,
    `${method} ${path}`,
    ...["operationId", "summary", "description"].map((key) => operation.get(key, "")),
    ...operation.get("parameters", []).map((parameter) => parameter.get("name") || parameter.get("$ref", "")),
  ];

  // Swagger UI's own filter only compares names of tags, with their case, and leaves what it finds folded.
  const findOperations = () => ({
    fn: {
      opsFilter: (tags, phrase) => {
        const wanted = phrase.trim().toLowerCase();
        return tags
          .map((group, tag) =>
            group.update("operations", (operations) =>
              operations.filter((entry) =>
                texts(tag, { operation: entry.get("operation"), path: entry.get("path"), method: entry.get("method") }).some(
                  (text) => text.toLowerCase().includes(wanted),
                ),
              ),
            ),
          )
          .filter((group) => group.get("operations").size > 0);
      },
    },
    wrapComponents: {
      FilterContainer: (_, { React }) => ({ layoutSelectors, layoutActions }) => {
        const phrase = layoutSelectors.currentFilter();
        const box = React.createElement("input", {
          className: "operation-filter-input",
          type: "search",
          placeholder: "Find operations by path, text or parameter",
          "aria-label": "Find operations",
          value: typeof phrase === "string" ? phrase : "",
          onChange: (event) => layoutActions.updateFilter(event.target.value),
        });
        return React.createElement("section", { className: "filter wrapper" }, box);
      },
    },
    statePlugins: {
      layout: {
        wrapSelectors: {
          isShown:
            (original) =>
            (state, thing, byDefault) => {
              const isTag = Array.isArray(thing) && thing[0] === "operations-tag";
              const phrase = state.get("filter");
              const isFiltered = typeof phrase === "string" && phrase !== "";
              return original(thing, byDefault || (isTag && isFiltered));
            },
        },
      },
    },
  });

  // The method of the last request to the log-in, which responses do not tell.
  let method;
  const isAboutSessions = (url) => new URL(url, window.location.href).pathname === SESSIONS;

  const noteMethod = (request) => {
    if (isAboutSessions(request.url)) method = request.method;
    return request;
  };

  // The token of a log-in is used from then on, and forgotten with the log-out.
  const followSession = (response) => {
    if (!response.ok || !isAboutSessions(response.url)) return response;
    const { authActions, specSelectors } = ui.getSystem();
    if (method === "POST") {
      const schema = specSelectors.specJson().getIn(["components", "securitySchemes", SCHEME]);
      const { token: value } = JSON.parse(response.text);
      authActions.authorizeWithPersistOption({ [SCHEME]: { name: SCHEME, schema, value } });
    } else if (method === "DELETE") {
      authActions.logoutWithPersistOption([SCHEME]);
    }
    return response;
  };

  const ui = SwaggerUIBundle({
    dom_id: "#ui",
    url: "/openapi.json",
    deepLinking: true,
    docExpansion: "none",
    filter: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    plugins: [findOperations],
    requestInterceptor: noteMethod,
    responseInterceptor: followSession,
  });
})();
