// An application with the OpenID Connect handler of ASP.NET Core, by its quick start. It is a confidential client of the
// broker: it proves itself by private_key_jwt.
using System.Security.Cryptography;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;

var builder = WebApplication.CreateBuilder(args);
var broker = builder.Configuration["Broker"]!;
var key = new ECDsaSecurityKey(ECDsa.Create(ECCurve.NamedCurves.nistP256)) { KeyId = "one" };

builder.Services.AddAuthentication(options =>
    {
        options.DefaultScheme = CookieAuthenticationDefaults.AuthenticationScheme;
        options.DefaultChallengeScheme = OpenIdConnectDefaults.AuthenticationScheme;
    })
    .AddCookie()
    .AddOpenIdConnect(options =>
    {
        options.Authority = broker;
        options.ClientId = "asp-net";
        options.ResponseType = OpenIdConnectResponseType.Code;
        options.SaveTokens = true;
        options.GetClaimsFromUserInfoEndpoint = true;
        options.MapInboundClaims = false;
        options.TokenValidationParameters.NameClaimType = "name";
        options.Scope.Add("offline_access");
        options.Scope.Add("api://demo/orders.read");
        options.RequireHttpsMetadata = false; // for loopback
        options.Events.OnAuthorizationCodeReceived = context =>
        {
            Prove(context.TokenEndpointRequest!);
            return Task.CompletedTask;
        };
    });
builder.Services.AddAuthorization();

var app = builder.Build();
app.MapGet("/keys", () =>
{
    var jwk = JsonWebKeyConverter.ConvertFromECDsaSecurityKey(key);
    return Results.Json(new { keys = new[] { new { kty = jwk.Kty, crv = jwk.Crv, x = jwk.X, y = jwk.Y, kid = "one", alg = "ES256" } } });
});
app.MapGet("/", (HttpContext context) => context.User.Identity!.Name).RequireAuthorization();
app.MapGet("/renew", (Delegate)Renew).RequireAuthorization();
app.MapGet("/sign-out", () => Results.SignOut(
    new AuthenticationProperties { RedirectUri = "/signed-out" },
    [CookieAuthenticationDefaults.AuthenticationScheme, OpenIdConnectDefaults.AuthenticationScheme]));
app.MapGet("/signed-out", () => "signed out");
app.Run();

// RFC 7523 §3.
void Prove(OpenIdConnectMessage request)
{
    request.ClientAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    request.ClientAssertion = new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
    {
        Issuer = "asp-net",
        Audience = broker,
        Claims = new Dictionary<string, object> { ["sub"] = "asp-net", ["jti"] = Guid.NewGuid().ToString() },
        Expires = DateTime.UtcNow.AddMinutes(1),
        SigningCredentials = new SigningCredentials(key, SecurityAlgorithms.EcdsaSha256),
    });
}

// The handler does not renew tokens: the application does.
async Task<IResult> Renew(HttpContext context)
{
    var request = new OpenIdConnectMessage
    {
        ClientId = "asp-net",
        GrantType = OpenIdConnectGrantTypes.RefreshToken,
        RefreshToken = await context.GetTokenAsync("refresh_token"),
    };
    Prove(request);
    using var http = new HttpClient();
    var response = await http.PostAsync($"{broker}/token", new FormUrlEncodedContent(request.Parameters));
    var answer = new OpenIdConnectMessage(await response.Content.ReadAsStringAsync());
    if (!response.IsSuccessStatusCode) return Results.Json(new { answer.Error }, statusCode: 400);
    var ticket = await context.AuthenticateAsync();
    ticket.Properties!.StoreTokens(
    [
        new() { Name = "id_token", Value = answer.IdToken },
        new() { Name = "refresh_token", Value = answer.RefreshToken },
    ]);
    await context.SignInAsync(ticket.Principal!, ticket.Properties);
    return Results.Json(new { answer.IdToken, answer.RefreshToken });
}
