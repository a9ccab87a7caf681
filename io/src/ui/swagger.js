// Starts Swagger UI on the daemon's own description; nothing is sent to anybody else, also not for validation.

window.ui = SwaggerUIBundle({ url: "/swagger/openapi.json", dom_id: "#swagger-ui", validatorUrl: null, deepLinking: true });
