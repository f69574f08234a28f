/*
 * The library for Python: policies, decisions, and what applies decisions to
 * the headers of ASGI and WSGI.
 *
 * The library decides; see cors.h. This module hands requests over to it, and
 * gives its answers back as Python objects. All but free-threaded Pythons get
 * one build of it, by the limited API.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cors.h>

#ifndef LIBCORS_PYTHON_VERSION
#define LIBCORS_PYTHON_VERSION "unknown"
#endif

#define UNUSED(argument) (void) argument

/* The arguments of decide(), of which those from ORIGIN to UPGRADE are fields
   that may have several lines. */
enum {
    METHOD,
    ORIGIN,
    REQUEST_METHOD,
    REQUEST_HEADERS,
    REQUEST_PRIVATE_NETWORK,
    UPGRADE,
    PROTOCOL,
    SCHEME,
    HOST,
    SEC_FETCH_SITE,
    ARGUMENTS
};

#define POSITIONAL 4
#define KEPT       (ARGUMENTS + 3)
#define FIELDS     (UPGRADE + 1)

/* The numbers of cors.h whose words are made once. */
#define KINDS    (CORS_KIND_WEBSOCKET + 1)
#define OUTCOMES (CORS_OUTCOME_DENY + 1)
#define REASONS  (CORS_REASON_NO_POLICY + 1)
#define HEADERS  (CORS_HEADER_TIMING_ALLOW_ORIGIN + 1)
#define VARIES   ((CORS_VARY_ORIGIN | CORS_VARY_REQUEST_METHOD \
                   | CORS_VARY_REQUEST_HEADERS) + 1)

/* Headers and their values come in two forms: str for WSGI and people, and
   bytes, with names in lower case, for ASGI. */
enum { TEXT, RAW, FORMS };

typedef struct {
    PyTypeObject *policy_type;
    PyTypeObject *decision_type;
    PyObject     *empty;                    /* () */
    PyObject     *arguments[ARGUMENTS];     /* names */
    PyObject     *environ[ARGUMENTS];       /* keys */
    PyObject     *scope_type;               /* keys */
    PyObject     *scope_headers;
    PyObject     *kinds[KINDS];
    PyObject     *outcomes[OUTCOMES];
    PyObject     *reasons[REASONS];
    PyObject     *replace;
    PyObject     *keep;
    PyObject     *owned[HEADERS];           /* names in lower case */
    PyObject     *vary[FORMS][VARIES];      /* (name, value), by bits */
} State;

/* A header of a list that a policy can produce. */
typedef struct {
    uint32_t  id;
    uint32_t  source;
    PyObject *name[FORMS];
    PyObject *pair[FORMS];      /* NULL unless the value is fixed */
} Template;

typedef struct {
    Py_ssize_t  count;
    Template   *templates;
    PyObject   *headers[FORMS]; /* NULL unless all values are fixed */
} Variant;

/* The objects of a policy's header lists. */
typedef struct {
    Py_ssize_t  count;
    Variant     variants[];
} Lists;

typedef struct {
    PyObject_HEAD
    State               *state;
    const cors_policies *policies;
    const cors_policy   *policy;    /* NULL: the policy that closes */
    PyObject            *name;
    PyObject            *weakrefs;
    _Atomic(Lists *)     lists;     /* NULL until they are needed */
} Policy;

/* It is allocated without decision.headers, whose values are in headers. */
typedef struct {
    PyObject_HEAD
    Policy        *policy;
    PyObject      *headers;         /* pairs, in one form */
    int            form;
    cors_decision  decision;
} Decision;

#define DECISION_SIZE \
    (offsetof(Decision, decision) + offsetof(cors_decision, headers))

/* A request, and what it borrows. */
typedef struct {
    cors_request  request;
    cors_str      one[FIELDS];      /* of a field that has one line */
    cors_str     *many[FIELDS];     /* of the others; allocated */
    PyObject     *object[FIELDS];   /* the one line, to be used again */
    PyObject     *held;             /* a list, or NULL */
    PyObject     *kept[KEPT];
    int           kept_count;
} Query;


/*
 * Text
 * ====
 */

/* Keeps an object, whose reference is taken over, as long as the list. */
static int
hold(PyObject **held, PyObject *object)
{
    int result = -1;

    if (object == NULL) {
        return -1;
    }
    if (*held == NULL) {
        *held = PyList_New(0);
    }
    if (*held != NULL) {
        result = PyList_Append(*held, object);
    }
    Py_DECREF(object);
    return result;
}

/*
 * Servers decode header fields as Latin-1, so that a str stands for these bytes.
 * Text that is no Latin-1 stands for its UTF-8, surrogates included. It is no
 * valid value of a field that is looked at here, and so is nothing to raise an
 * exception about: the client chose it.
 */
static int
encode(PyObject *text, PyObject **held, cors_str *result)
{
    PyObject *bytes = PyUnicode_AsLatin1String(text);

    if (bytes == NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
        PyErr_Clear();
        bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    }
    if (hold(held, bytes) < 0) {
        return -1;
    }
    result->data = PyBytes_AsString(bytes);
    result->len = (size_t) Py_SIZE(bytes);
    return 0;
}

/* Borrows the text of a str or bytes; returns 0 for objects of other types. */
static int
borrow(PyObject *object, PyObject **held, cors_str *result)
{
    Py_ssize_t  length;
    const char *data;

    /* The usual types come first: the other tests are calls. */
    if (PyBytes_CheckExact(object)) {
        result->data = PyBytes_AsString(object);
        result->len = (size_t) Py_SIZE(object);
        return 1;
    }
    if (PyUnicode_CheckExact(object) || PyUnicode_Check(object)) {
        data = PyUnicode_AsUTF8AndSize(object, &length);
        if (data != NULL && length == PyUnicode_GetLength(object)) {
            /* It is ASCII. */
            result->data = data;
            result->len = (size_t) length;
            return 1;
        }
        if (data == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
                return -1;
            }
            PyErr_Clear();
        }
        return encode(object, held, result) < 0 ? -1 : 1;
    }
    if (PyBytes_Check(object)) {
        result->data = PyBytes_AsString(object);
        result->len = (size_t) Py_SIZE(object);
        return 1;
    }
    return 0;
}

static PyObject *
to_object(cors_str text, int form)
{
    if (form == RAW) {
        return PyBytes_FromStringAndSize(text.data, (Py_ssize_t) text.len);
    }
    return PyUnicode_DecodeLatin1(text.data, (Py_ssize_t) text.len, NULL);
}

static int
equal(cors_str a, cors_str b)
{
    return a.len == b.len
           && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Compares a name, in any case, with one in lower case of the same length. */
static int
is_named(const char *name, const char *lower)
{
    char c;

    for (; *lower != '\0'; name++, lower++) {
        c = *name;
        if (c >= 'A' && c <= 'Z') {
            c = (char) (c | 0x20);
        }
        if (c != *lower) {
            return 0;
        }
    }
    return 1;
}

static PyObject *
type_name(PyObject *object)
{
    return PyObject_GetAttrString((PyObject *) Py_TYPE(object), "__name__");
}

/* Raises a TypeError: "WHAT must be EXPECTED, not int". */
static void
wrong_type(const char *what, const char *expected, PyObject *object)
{
    PyObject *name = type_name(object);

    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "%s must be %s, not %U", what, expected,
                     name);
        Py_DECREF(name);
    }
}


/*
 * Requests
 * ========
 */

static const char *const argument_names[ARGUMENTS] = {
    "method", "origin", "request_method", "request_headers",
    "request_private_network", "upgrade", "protocol", "scheme", "host",
    "sec_fetch_site",
};

static void
query_init(Query *query)
{
    memset(query, 0, sizeof(Query));
    query->request.size = sizeof(cors_request);
}

static void
query_clear(Query *query)
{
    int i;

    for (i = 0; i < FIELDS; i++) {
        if (query->many[i] != NULL) {
            PyMem_Free(query->many[i]);
        }
    }
    for (i = 0; i < query->kept_count; i++) {
        Py_DECREF(query->kept[i]);
    }
    Py_XDECREF(query->held);
}

/* Where an argument that may have several lines goes; NULL for the others. */
static cors_lines *
query_lines(Query *query, int argument)
{
    switch (argument) {
    case ORIGIN:
        return &query->request.origin;
    case REQUEST_METHOD:
        return &query->request.request_method;
    case REQUEST_HEADERS:
        return &query->request.request_headers;
    case REQUEST_PRIVATE_NETWORK:
        return &query->request.request_private_network;
    case UPGRADE:
        return &query->request.upgrade;
    default:
        return NULL;
    }
}

static cors_str *
query_text(Query *query, int argument)
{
    switch (argument) {
    case METHOD:
        return &query->request.method;
    case PROTOCOL:
        return &query->request.protocol;
    case SCHEME:
        return &query->request.scheme;
    case HOST:
        return &query->request.host;
    default:
        return &query->request.sec_fetch_site;
    }
}

/* Sets the one line of a field. */
static void
query_set_line(Query *query, int argument, PyObject *object, cors_str line)
{
    cors_lines *lines = query_lines(query, argument);

    query->one[argument] = line;
    query->object[argument] = object;
    lines->lines = &query->one[argument];
    lines->count = 1;
}

/* Adds a line to a field, of which there are at most so many. */
static int
query_add_line(Query *query, int argument, PyObject *object, cors_str line,
               Py_ssize_t most)
{
    cors_lines *lines = query_lines(query, argument);

    if (lines->count == 0) {
        query_set_line(query, argument, object, line);
        return 0;
    }
    if (query->many[argument] == NULL) {
        query->many[argument] = PyMem_New(cors_str, most);
        if (query->many[argument] == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        query->many[argument][0] = query->one[argument];
        query->object[argument] = NULL;
        lines->lines = query->many[argument];
    }
    query->many[argument][lines->count++] = line;
    return 0;
}

/* Sets the lines of a field to those of a sequence. */
static int
query_set_sequence(Query *query, int argument, PyObject *sequence)
{
    int         found;
    cors_str    line;
    PyObject   *item, *lines;
    Py_ssize_t  i, count;
    char        what[64];

    lines = PySequence_Tuple(sequence);
    if (hold(&query->held, lines) < 0) {
        return -1;
    }
    count = Py_SIZE(lines);
    for (i = 0; i < count; i++) {
        item = PyTuple_GetItem(lines, i);
        found = borrow(item, &query->held, &line);
        if (found == 0) {
            PyOS_snprintf(what, sizeof(what), "%s[%ld]",
                          argument_names[argument], (long) i);
            wrong_type(what, "str or bytes", item);
        }
        if (found <= 0
            || query_add_line(query, argument, item, line, count) < 0)
        {
            return -1;
        }
    }
    return 0;
}

/* Sets an argument of decide(). */
static int
query_set(Query *query, int argument, PyObject *object)
{
    int       found;
    cors_str  text;

    if (object == Py_None && argument != METHOD) {
        return 0;
    }
    found = borrow(object, &query->held, &text);
    if (found < 0) {
        return -1;
    }
    if (query_lines(query, argument) == NULL) {
        if (found == 0) {
            wrong_type(argument_names[argument],
                       argument == METHOD ? "str or bytes"
                                          : "str, bytes or None",
                       object);
            return -1;
        }
        *query_text(query, argument) = text;
        return 0;
    }
    if (found > 0) {
        query_set_line(query, argument, object, text);
        return 0;
    }
    if (PySequence_Check(object)) {
        return query_set_sequence(query, argument, object);
    }
    wrong_type(argument_names[argument],
               "str, bytes, a sequence of these or None", object);
    return -1;
}

/* Which argument a keyword names, or -1 with an exception. */
static int
find_keyword(State *state, const char *function, PyObject *keyword)
{
    int i;

    for (i = 0; i < ARGUMENTS; i++) {
        if (keyword == state->arguments[i]) {
            return i;
        }
    }
    for (i = 0; i < ARGUMENTS; i++) {
        if (PyUnicode_Compare(keyword, state->arguments[i]) == 0) {
            return i;
        }
    }
    if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError,
                     "%s() got an unexpected keyword argument '%U'", function,
                     keyword);
    }
    return -1;
}

/* Reads the arguments of decide() and explain(). */
static int
query_arguments(Query *query, State *state, const char *function,
                PyObject *const *args, Py_ssize_t positional,
                PyObject *keywords)
{
    int         argument;
    unsigned    seen;
    Py_ssize_t  i, count;

    if (positional > POSITIONAL) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %d positional arguments (%zd given)",
                     function, POSITIONAL, positional);
        return -1;
    }
    for (i = 0; i < positional; i++) {
        if (query_set(query, (int) i, args[i]) < 0) {
            return -1;
        }
    }
    seen = (1u << positional) - 1;
    count = keywords == NULL ? 0 : Py_SIZE(keywords);
    for (i = 0; i < count; i++) {
        argument = find_keyword(state, function, PyTuple_GetItem(keywords, i));
        if (argument < 0) {
            return -1;
        }
        if (seen & 1u << argument) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got multiple values for argument '%s'",
                         function, argument_names[argument]);
            return -1;
        }
        seen |= 1u << argument;
        if (query_set(query, argument, args[positional + i]) < 0) {
            return -1;
        }
    }
    if (!(seen & 1u << METHOD)) {
        PyErr_Format(PyExc_TypeError,
                     "%s() missing required argument: 'method'", function);
        return -1;
    }
    return 0;
}

/*
 * Looks a key of a dict up, for as long as the query lives; NULL, with an
 * exception or without, if it is not there.
 */
static PyObject *
query_look_up(Query *query, PyObject *dict, PyObject *key)
{
    PyObject *value;

#ifdef Py_GIL_DISABLED
    PyDict_GetItemRef(dict, key, &value);
#else
    value = PyDict_GetItemWithError(dict, key);
    Py_XINCREF(value);
#endif
    if (value != NULL) {
        query->kept[query->kept_count++] = value;
    }
    return value;
}

/* Sets an argument to what a key of a dict has, if it is there. */
static int
query_set_from(Query *query, PyObject *dict, PyObject *key, int argument)
{
    PyObject *value = query_look_up(query, dict, key);

    if (value == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return query_set(query, argument, value);
}

/* Reads a WSGI environment. */
static int
query_wsgi(Query *query, State *state, PyObject *env)
{
    int i;

    if (!PyDict_Check(env)) {
        wrong_type("environ", "a dict", env);
        return -1;
    }
    for (i = 0; i < ARGUMENTS; i++) {
        if (state->environ[i] != NULL
            && query_set_from(query, env, state->environ[i], i) < 0)
        {
            return -1;
        }
    }
    return 0;
}

/* Which argument an ASGI header is, or -1. */
static int
find_header(cors_str name)
{
    int         argument;
    const char *lower;

    switch (name.len) {
    case 4:
        argument = HOST;
        lower = "host";
        break;
    case 6:
        argument = ORIGIN;
        lower = "origin";
        break;
    case 7:
        argument = UPGRADE;
        lower = "upgrade";
        break;
    case 14:
        argument = SEC_FETCH_SITE;
        lower = "sec-fetch-site";
        break;
    case 29:
        argument = REQUEST_METHOD;
        lower = "access-control-request-method";
        break;
    case 30:
        argument = REQUEST_HEADERS;
        lower = "access-control-request-headers";
        break;
    case 38:
        argument = REQUEST_PRIVATE_NETWORK;
        lower = "access-control-request-private-network";
        break;
    default:
        return -1;
    }
    return is_named(name.data, lower) ? argument : -1;
}

/*
 * Reads a header, which should be a tuple of two; others are made one, and
 * held. The name is borrowed. Returns the tuple, or NULL with an exception.
 */
static PyObject *
read_pair(PyObject *pair, int form, PyObject **held, cors_str *name)
{
    PyObject *object;

    if (!PyTuple_CheckExact(pair)) {
        pair = PySequence_Tuple(pair);
        if (hold(held, pair) < 0) {
            return NULL;
        }
    }
    if (Py_SIZE(pair) != 2) {
        PyErr_Format(PyExc_ValueError,
                     "a header must be a pair of name and value, not %zd items",
                     Py_SIZE(pair));
        return NULL;
    }
    object = PyTuple_GetItem(pair, 0);
    if (form == RAW && (PyBytes_CheckExact(object) || PyBytes_Check(object))) {
        name->data = PyBytes_AsString(object);
        name->len = (size_t) Py_SIZE(object);
        return pair;
    }
    if (form == TEXT && PyUnicode_Check(object)) {
        return borrow(object, held, name) < 0 ? NULL : pair;
    }
    wrong_type("the name of a header", form == RAW ? "bytes" : "str", object);
    return NULL;
}

/* Reads the headers of an ASGI scope. */
static int
query_headers(Query *query, PyObject *headers)
{
    int         argument;
    cors_str    name, line, *text;
    PyObject   *pair, *value;
    Py_ssize_t  i, count;

    /* A list may change meanwhile; a tuple may not. */
    headers = PySequence_Tuple(headers);
    if (headers == NULL) {
        return -1;
    }
    query->kept[query->kept_count++] = headers;
    count = Py_SIZE(headers);
    for (i = 0; i < count; i++) {
        pair = read_pair(PyTuple_GetItem(headers, i), RAW, &query->held,
                         &name);
        if (pair == NULL) {
            return -1;
        }
        argument = find_header(name);
        if (argument < 0) {
            continue;
        }
        value = PyTuple_GetItem(pair, 1);
        if (!PyBytes_Check(value)) {
            wrong_type("the value of a header", "bytes", value);
            return -1;
        }
        line.data = PyBytes_AsString(value);
        line.len = (size_t) Py_SIZE(value);
        if (query_lines(query, argument) != NULL) {
            if (query_add_line(query, argument, value, line, count) < 0) {
                return -1;
            }
            continue;
        }
        /* A request has one. Should there be more, the first counts. */
        text = query_text(query, argument);
        if (text->data == NULL) {
            *text = line;
        }
    }
    return 0;
}

static cors_str
constant(const char *text)
{
    cors_str result;

    result.data = text;
    result.len = strlen(text);
    return result;
}

/* The dict of a mapping of another type, for as long as the query lives. */
static PyObject *
query_mapping(Query *query, PyObject *mapping)
{
    PyObject *dict;

    if (!PyObject_HasAttrString(mapping, "keys")) {
        wrong_type("scope", "a mapping", mapping);
        return NULL;
    }
    dict = PyObject_CallFunctionObjArgs((PyObject *) &PyDict_Type, mapping,
                                        NULL);
    if (dict != NULL) {
        query->kept[query->kept_count++] = dict;
    }
    return dict;
}

/* Reads an ASGI scope. */
static int
query_asgi(Query *query, State *state, PyObject *scope)
{
    PyObject *type, *headers;
    cors_str *scheme = &query->request.scheme;

    if (!PyDict_Check(scope)) {
        scope = query_mapping(query, scope);
        if (scope == NULL) {
            return -1;
        }
    }
    if (query_set_from(query, scope, state->arguments[METHOD], METHOD) < 0
        || query_set_from(query, scope, state->arguments[SCHEME], SCHEME) < 0)
    {
        return -1;
    }
    type = query_look_up(query, scope, state->scope_type);
    if (type == NULL && PyErr_Occurred()) {
        return -1;
    }
    if (type != NULL && PyUnicode_Check(type)
        && PyUnicode_CompareWithASCIIString(type, "websocket") == 0)
    {
        /* The server has read the handshake; the scope may say no more of it
           than this. */
        query->request.protocol = constant("websocket");
        if (query->request.method.data == NULL) {
            query->request.method = constant("GET");
        }
        if (equal(*scheme, constant("wss"))) {
            *scheme = constant("https");
        }
        else if (equal(*scheme, constant("ws"))) {
            *scheme = constant("http");
        }
    }
    headers = query_look_up(query, scope, state->scope_headers);
    if (headers == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return query_headers(query, headers);
}


/*
 * The header lists of a policy
 * ============================
 */

static void
lists_free(Lists *lists)
{
    int         form;
    Variant    *variant;
    Template   *template;
    Py_ssize_t  i, j;

    for (i = 0; i < lists->count; i++) {
        variant = &lists->variants[i];
        for (form = 0; form < FORMS; form++) {
            for (j = 0; j < variant->count; j++) {
                template = &variant->templates[j];
                Py_XDECREF(template->name[form]);
                Py_XDECREF(template->pair[form]);
            }
            Py_XDECREF(variant->headers[form]);
        }
        PyMem_Free(variant->templates);
    }
    PyMem_Free(lists);
}

static int
template_init(Template *template, const cors_header *header)
{
    int       form;
    PyObject *value;

    template->id = header->id;
    template->source = header->source;
    template->name[TEXT] = PyUnicode_InternFromString(header->name.data);
    template->name[RAW] = to_object(header->lower_name, RAW);
    if (template->name[TEXT] == NULL || template->name[RAW] == NULL) {
        return -1;
    }
    if (header->source != CORS_SOURCE_FIXED) {
        return 0;
    }
    for (form = 0; form < FORMS; form++) {
        value = to_object(header->value, form);
        if (value == NULL) {
            return -1;
        }
        template->pair[form] = PyTuple_Pack(2, template->name[form], value);
        Py_DECREF(value);
        if (template->pair[form] == NULL) {
            return -1;
        }
    }
    return 0;
}

static int
variant_init(Variant *variant, const cors_policy *policy, uint32_t number)
{
    int          form, fixed = 1;
    size_t       i, count = 0;
    PyObject    *pair;
    cors_header  headers[CORS_HEADERS_MAX];

    cors_variant_headers(policy, number, headers, CORS_HEADERS_MAX, &count);
    variant->templates = PyMem_Calloc(count + 1, sizeof(Template));
    if (variant->templates == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    variant->count = (Py_ssize_t) count;
    for (i = 0; i < count; i++) {
        if (template_init(&variant->templates[i], &headers[i]) < 0) {
            return -1;
        }
        fixed = fixed && headers[i].source == CORS_SOURCE_FIXED;
    }
    for (form = 0; fixed && form < FORMS; form++) {
        variant->headers[form] = PyTuple_New((Py_ssize_t) count);
        if (variant->headers[form] == NULL) {
            return -1;
        }
        for (i = 0; i < count; i++) {
            pair = Py_NewRef(variant->templates[i].pair[form]);
            PyTuple_SetItem(variant->headers[form], (Py_ssize_t) i, pair);
        }
    }
    return 0;
}

/* The lists of a policy, which are made when they are asked for first. */
static Lists *
policy_lists(Policy *self)
{
    Lists    *lists, *none = NULL;
    size_t    count;
    uint32_t  i;

    lists = atomic_load_explicit(&self->lists, memory_order_acquire);
    if (lists != NULL) {
        return lists;
    }
    count = cors_variant_count(self->policy);
    lists = PyMem_Calloc(1, sizeof(Lists) + count * sizeof(Variant));
    if (lists == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    lists->count = (Py_ssize_t) count;
    for (i = 0; i < count; i++) {
        if (variant_init(&lists->variants[i], self->policy, i) < 0) {
            lists_free(lists);
            return NULL;
        }
    }
    if (!atomic_compare_exchange_strong(&self->lists, &none, lists)) {
        /* Another thread was faster. */
        lists_free(lists);
        return none;
    }
    return lists;
}

static Variant *
policy_variant(Policy *self, const cors_decision *decision)
{
    Lists *lists = policy_lists(self);

    if (lists == NULL) {
        return NULL;
    }
    if (decision->variant >= lists->count) {
        PyErr_SetString(PyExc_SystemError, "libcors: no such header list");
        return NULL;
    }
    return &lists->variants[decision->variant];
}

/* The value of a header that is not fixed: the request's own object, where
   that is the same. */
static PyObject *
echo(Query *query, const Template *template, cors_str value, int form)
{
    int       field = ORIGIN;
    PyObject *object;

    if (template->source == CORS_SOURCE_METHOD) {
        field = REQUEST_METHOD;
    }
    else if (template->source == CORS_SOURCE_HEADER_LIST) {
        field = REQUEST_HEADERS;
    }
    object = query->object[field];
    if (object != NULL && equal(query->one[field], value)
        && (form == TEXT ? PyUnicode_CheckExact(object)
                         : PyBytes_CheckExact(object)))
    {
        return Py_NewRef(object);
    }
    return to_object(value, form);
}

/* Puts a header into a tuple; the value's reference is taken over. */
static int
set_header(PyObject *headers, Py_ssize_t i, PyObject *name, PyObject *value)
{
    PyObject *pair;

    if (value == NULL) {
        return -1;
    }
    pair = PyTuple_Pack(2, name, value);
    Py_DECREF(value);
    return pair == NULL ? -1 : PyTuple_SetItem(headers, i, pair);
}

/* The headers of a decision, as a tuple of pairs. */
static PyObject *
make_headers(Policy *policy, Query *query, const cors_decision *decision,
             int form)
{
    Variant            *variant;
    Template           *template, *end;
    PyObject           *headers, *value;
    Py_ssize_t          i, count = decision->header_count;
    const cors_header  *header;

    if (count == 0) {
        return Py_NewRef(policy->state->empty);
    }
    variant = policy_variant(policy, decision);
    if (variant == NULL) {
        return NULL;
    }
    if (variant->headers[form] != NULL) {
        return Py_NewRef(variant->headers[form]);
    }
    headers = PyTuple_New(count);
    if (headers == NULL) {
        return NULL;
    }
    template = variant->templates;
    end = template + variant->count;
    for (i = 0; i < count; i++) {
        header = &decision->headers[i];
        /* A header list may be echoed in several lines, and in none. */
        while (template < end && template->id != header->id) {
            template++;
        }
        if (template == end) {
            PyErr_SetString(PyExc_SystemError,
                            "libcors: a header that is not in its list");
            goto failed;
        }
        if (template->pair[form] != NULL) {
            PyTuple_SetItem(headers, i, Py_NewRef(template->pair[form]));
            continue;
        }
        value = echo(query, template, header->value, form);
        if (set_header(headers, i, template->name[form], value) < 0) {
            goto failed;
        }
    }
    return headers;

failed:
    Py_DECREF(headers);
    return NULL;
}


/*
 * Policies
 * ========
 */

static PyObject *
policy_new(State *state, const cors_policies *policies,
           const cors_policy *policy, const char *name)
{
    Policy *self = PyObject_GC_New(Policy, state->policy_type);

    if (self == NULL) {
        return NULL;
    }
    self->state = state;
    self->policies = cors_policies_ref(policies);
    self->policy = policy;
    self->weakrefs = NULL;
    atomic_init(&self->lists, NULL);
    self->name = PyUnicode_FromString(name);
    PyObject_GC_Track(self);
    if (self->name == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *) self;
}

static void
policy_dealloc(Policy *self)
{
    Lists        *lists = atomic_load(&self->lists);
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs((PyObject *) self);
    }
    if (lists != NULL) {
        lists_free(lists);
    }
    Py_XDECREF(self->name);
    cors_policies_unref(self->policies);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static int
policy_traverse(Policy *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static PyObject *
policy_repr(Policy *self)
{
    if (self->policy == NULL) {
        return PyUnicode_FromString("<libcors.NO_POLICY>");
    }
    return PyUnicode_FromFormat("<libcors.Policy %R>", self->name);
}

/* Decides a request, and makes the decision's headers in a form. */
static PyObject *
decide(Policy *self, Query *query, int form)
{
    Decision      *result;
    PyObject      *headers;
    cors_decision  decision;

    /* The status says nothing that is needed: a failure is a decision too,
       which closes. */
    decision.size = sizeof(decision);
    cors_decide(self->policy, &query->request, &decision);
    headers = make_headers(self, query, &decision, form);
    if (headers == NULL) {
        return NULL;
    }
    result = PyObject_New(Decision, self->state->decision_type);
    if (result == NULL) {
        Py_DECREF(headers);
        return NULL;
    }
    Py_INCREF(self);
    result->policy = self;
    result->headers = headers;
    result->form = form;
    memcpy(&result->decision, &decision, offsetof(cors_decision, headers));
    return (PyObject *) result;
}

PyDoc_STRVAR(policy_decide_doc,
"decide($self, /, method, origin=None, request_method=None,\n"
"       request_headers=None, *, request_private_network=None,\n"
"       upgrade=None, protocol=None, scheme=None, host=None,\n"
"       sec_fetch_site=None)\n"
"--\n"
"\n"
"Decide a request.\n"
"\n"
"origin, request_method (Access-Control-Request-Method), request_headers\n"
"(Access-Control-Request-Headers), request_private_network\n"
"(Access-Control-Request-Private-Network) and upgrade are header fields as\n"
"they were received: None if the field is absent, str or bytes if it has one\n"
"line, or a sequence of these if it has several. protocol is :protocol of\n"
"HTTP/2. scheme (\"http\" or \"https\"), host and sec_fetch_site\n"
"(Sec-Fetch-Site) tell a same-origin request from a cross-origin one.\n"
"\n"
"A request that is not allowed is no error: the decision says so.");

static PyObject *
policy_decide(Policy *self, PyObject *const *args, Py_ssize_t nargs,
              PyObject *keywords)
{
    Query     query;
    PyObject *result = NULL;

    query_init(&query);
    if (query_arguments(&query, self->state, "decide", args, nargs, keywords)
        == 0)
    {
        result = decide(self, &query, TEXT);
    }
    query_clear(&query);
    return result;
}

PyDoc_STRVAR(policy_explain_doc,
"explain($self, /, method, origin=None, request_method=None,\n"
"        request_headers=None, *, request_private_network=None,\n"
"        upgrade=None, protocol=None, scheme=None, host=None,\n"
"        sec_fetch_site=None)\n"
"--\n"
"\n"
"Tell in words what decide() answers.\n"
"\n"
"The text has the steps in the browser's order, the headers, what the\n"
"browser's console will say, and what to change in the policy if the request\n"
"is to be allowed. It is not meant for every request.");

static PyObject *
policy_explain(Policy *self, PyObject *const *args, Py_ssize_t nargs,
               PyObject *keywords)
{
    char     *buffer = NULL;
    Query     query;
    size_t    length;
    PyObject *result = NULL;

    query_init(&query);
    if (query_arguments(&query, self->state, "explain", args, nargs, keywords)
        < 0)
    {
        goto done;
    }
    length = cors_explain(self->policy, &query.request, NULL, 0);
    buffer = PyMem_Malloc(length + 1);
    if (buffer == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    cors_explain(self->policy, &query.request, buffer, length + 1);
    result = PyUnicode_DecodeUTF8(buffer, (Py_ssize_t) length, "replace");

done:
    PyMem_Free(buffer);
    query_clear(&query);
    return result;
}

PyDoc_STRVAR(policy_decide_asgi_doc,
"decide_asgi($self, scope, /)\n"
"--\n"
"\n"
"Decide the request of an ASGI scope of type \"http\" or \"websocket\".");

static PyObject *
policy_decide_asgi(Policy *self, PyObject *scope)
{
    Query     query;
    PyObject *result = NULL;

    query_init(&query);
    if (query_asgi(&query, self->state, scope) == 0) {
        result = decide(self, &query, RAW);
    }
    query_clear(&query);
    return result;
}

PyDoc_STRVAR(policy_decide_wsgi_doc,
"decide_wsgi($self, environ, /)\n"
"--\n"
"\n"
"Decide the request of a WSGI environment.");

static PyObject *
policy_decide_wsgi(Policy *self, PyObject *env)
{
    Query     query;
    PyObject *result = NULL;

    query_init(&query);
    if (query_wsgi(&query, self->state, env) == 0) {
        result = decide(self, &query, TEXT);
    }
    query_clear(&query);
    return result;
}

/* For __copy__() and __deepcopy__(): what never changes needs no copy. */
static PyObject *
itself(PyObject *self, PyObject *argument)
{
    UNUSED(argument);
    return Py_NewRef(self);
}

/* A method as the table of methods wants it. */
#define METHOD_OF(function) ((PyCFunction) (void (*)(void)) function)

static PyMethodDef policy_methods[] = {
    {"decide", METHOD_OF(policy_decide), METH_FASTCALL | METH_KEYWORDS,
     policy_decide_doc},
    {"explain", METHOD_OF(policy_explain), METH_FASTCALL | METH_KEYWORDS,
     policy_explain_doc},
    {"decide_asgi", METHOD_OF(policy_decide_asgi), METH_O,
     policy_decide_asgi_doc},
    {"decide_wsgi", METHOD_OF(policy_decide_wsgi), METH_O,
     policy_decide_wsgi_doc},
    {"__copy__", itself, METH_NOARGS, NULL},
    {"__deepcopy__", itself, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef policy_members[] = {
    {"name", T_OBJECT_EX, offsetof(Policy, name), READONLY,
     "The name of the policy in its document."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Policy, weakrefs), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(policy_doc,
"One policy of a document.\n"
"\n"
"It never changes, and any number of threads may use it at the same time.");

static PyType_Slot policy_slots[] = {
    {Py_tp_doc, (void *) policy_doc},
    {Py_tp_dealloc, policy_dealloc},
    {Py_tp_traverse, policy_traverse},
    {Py_tp_repr, policy_repr},
    {Py_tp_methods, policy_methods},
    {Py_tp_members, policy_members},
    {0, NULL},
};

static PyType_Spec policy_spec = {
    .name = "libcors.Policy",
    .basicsize = sizeof(Policy),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = policy_slots,
};


/*
 * Decisions
 * =========
 */

static void
decision_dealloc(Decision *self)
{
    PyTypeObject *type = Py_TYPE(self);

    Py_DECREF(self->headers);
    Py_DECREF(self->policy);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* The word for a number; those for the known ones are there already. */
static PyObject *
word(PyObject *const *words, uint32_t known, uint32_t number,
     const char *(*name)(uint32_t))
{
    if (number < known) {
        return Py_NewRef(words[number]);
    }
    return PyUnicode_FromString(name(number));
}

static PyObject *
decision_kind(Decision *self, void *closure)
{
    UNUSED(closure);
    return word(self->policy->state->kinds, KINDS, self->decision.kind,
                cors_kind_str);
}

static PyObject *
decision_outcome(Decision *self, void *closure)
{
    UNUSED(closure);
    return word(self->policy->state->outcomes, OUTCOMES,
                self->decision.outcome, cors_outcome_str);
}

static PyObject *
decision_reason(Decision *self, void *closure)
{
    UNUSED(closure);
    return word(self->policy->state->reasons, REASONS, self->decision.reason,
                cors_reason_str);
}

static PyObject *
decision_rule(Decision *self, void *closure)
{
    UNUSED(closure);
    if (self->decision.rule == CORS_RULE_NONE) {
        return Py_NewRef(Py_None);
    }
    return PyLong_FromUnsignedLong(self->decision.rule);
}

static PyObject *
decision_status(Decision *self, void *closure)
{
    UNUSED(closure);
    if (self->decision.status == 0) {
        return Py_NewRef(Py_None);
    }
    return PyLong_FromUnsignedLong(self->decision.status);
}

static PyObject *
decision_enforced(Decision *self, void *closure)
{
    UNUSED(closure);
    return PyBool_FromLong(self->decision.enforced != 0);
}

static PyObject *
decision_upstream(Decision *self, void *closure)
{
    State *state = self->policy->state;

    UNUSED(closure);
    return Py_NewRef(self->decision.upstream == CORS_UPSTREAM_KEEP
                         ? state->keep : state->replace);
}

/* The headers in a form. What is made here is not kept, so that a decision
   never changes. */
static PyObject *
headers_in(Decision *self, int form)
{
    Variant    *variant;
    cors_str    value;
    PyObject   *headers, *pair, *held = NULL;
    Template   *template;
    Py_ssize_t  i, count = Py_SIZE(self->headers);

    if (form == self->form || count == 0) {
        return Py_NewRef(self->headers);
    }
    variant = policy_variant(self->policy, &self->decision);
    if (variant == NULL) {
        return NULL;
    }
    headers = PyTuple_New(count);
    if (headers == NULL) {
        return NULL;
    }
    template = variant->templates;
    for (i = 0; i < count; i++) {
        pair = PyTuple_GetItem(self->headers, i);
        while (template->name[self->form] != PyTuple_GetItem(pair, 0)) {
            template++;
        }
        if (template->pair[form] != NULL) {
            PyTuple_SetItem(headers, i, Py_NewRef(template->pair[form]));
        }
        else if (borrow(PyTuple_GetItem(pair, 1), &held, &value) < 0
                 || set_header(headers, i, template->name[form],
                               to_object(value, form)) < 0)
        {
            Py_CLEAR(headers);
            break;
        }
    }
    Py_XDECREF(held);
    return headers;
}

static PyObject *
decision_headers(Decision *self, void *closure)
{
    UNUSED(closure);
    return headers_in(self, TEXT);
}

static PyObject *
decision_headers_bytes(Decision *self, void *closure)
{
    UNUSED(closure);
    return headers_in(self, RAW);
}

static PyObject *
decision_remove(Decision *self, void *closure)
{
    int         id;
    State      *state = self->policy->state;
    PyObject   *names, *result = NULL;

    UNUSED(closure);
    names = PyList_New(0);
    if (names == NULL) {
        return NULL;
    }
    for (id = 1; id < HEADERS; id++) {
        if (self->decision.owned & 1u << id
            && PyList_Append(names, state->owned[id]) < 0)
        {
            goto done;
        }
    }
    result = PyList_AsTuple(names);

done:
    Py_DECREF(names);
    return result;
}

static PyObject *
decision_vary(Decision *self, void *closure)
{
    cors_str    names = self->decision.vary_value;
    PyObject   *text, *comma, *list = NULL, *result = NULL;

    UNUSED(closure);
    if (self->decision.vary == 0) {
        return Py_NewRef(self->policy->state->empty);
    }
    text = to_object(names, TEXT);
    comma = PyUnicode_FromString(", ");
    if (text != NULL && comma != NULL) {
        list = PyUnicode_Split(text, comma, -1);
    }
    if (list != NULL) {
        result = PyList_AsTuple(list);
    }
    Py_XDECREF(text);
    Py_XDECREF(comma);
    Py_XDECREF(list);
    return result;
}

static PyObject *
decision_repr(Decision *self)
{
    const cors_decision *decision = &self->decision;

    return PyUnicode_FromFormat(
        "<libcors.Decision kind=%s outcome=%s reason=%s status=%u "
        "headers=%R vary=%s%s>",
        cors_kind_str(decision->kind), cors_outcome_str(decision->outcome),
        cors_reason_str(decision->reason), (unsigned) decision->status,
        self->headers,
        decision->vary == 0 ? "none" : decision->vary_value.data,
        decision->enforced ? "" : " enforced=False");
}

PyDoc_STRVAR(decision_owns_doc,
"owns($self, name, /)\n"
"--\n"
"\n"
"Whether a response header of this name is to be removed first.\n"
"\n"
"The name may be in any case.");

static PyObject *
decision_owns(Decision *self, PyObject *object)
{
    int       found, owned = 0;
    cors_str  name;
    PyObject *held = NULL;

    found = borrow(object, &held, &name);
    if (found > 0) {
        owned = cors_header_owned(&self->decision, name.data, name.len);
    }
    else if (found == 0) {
        wrong_type("name", "str or bytes", object);
    }
    Py_XDECREF(held);
    return found > 0 ? PyBool_FromLong(owned) : NULL;
}

/* The value of Vary, merged with lines of a response. */
static PyObject *
merge_vary(const cors_decision *decision, const cors_str *lines, size_t count,
           int form)
{
    char       small[512], *buffer = small;
    size_t     i, size = CORS_VARY_EXTRA;
    cors_str   value;
    PyObject  *result;

    for (i = 0; i < count; i++) {
        size += 2 * lines[i].len + 2;
    }
    if (size > sizeof(small)) {
        buffer = PyMem_Malloc(size);
        if (buffer == NULL) {
            return PyErr_NoMemory();
        }
    }
    value.data = buffer;
    value.len = cors_vary_merge(decision, lines, count, buffer, size);
    result = to_object(value, form);
    if (buffer != small) {
        PyMem_Free(buffer);
    }
    return result;
}

PyDoc_STRVAR(decision_merge_vary_doc,
"merge_vary($self, existing=(), /)\n"
"--\n"
"\n"
"The value of the one Vary line of the response.\n"
"\n"
"existing is what Vary has there: a line, as str or bytes, or a sequence of\n"
"lines. An empty string means no Vary line.");

static PyObject *
decision_merge_vary(Decision *self, PyObject *const *args, Py_ssize_t nargs)
{
    Query       query;
    PyObject   *result = NULL;
    cors_lines *lines;

    if (nargs > 1) {
        PyErr_Format(PyExc_TypeError,
                     "merge_vary() takes at most 1 argument (%zd given)",
                     nargs);
        return NULL;
    }
    query_init(&query);
    /* Lines are lines: the place of Upgrade serves for those of Vary. */
    if (nargs == 0 || query_set(&query, UPGRADE, args[0]) == 0) {
        lines = &query.request.upgrade;
        result = merge_vary(&self->decision, lines->lines, lines->count,
                            TEXT);
    }
    query_clear(&query);
    return result;
}

/* What a response is made of while a decision is applied to it. */
typedef struct {
    int         form;
    PyObject   *held;
    PyObject   *headers;        /* the tuple that was given */
    PyObject   *result;         /* a list */
    cors_str   *vary;           /* the lines of Vary; allocated */
    size_t      vary_count;
} Response;

static int
response_add_vary(Response *response, PyObject *pair)
{
    int         found;
    cors_str   *line;
    PyObject   *value = PyTuple_GetItem(pair, 1);
    Py_ssize_t  most = Py_SIZE(response->headers);

    if (response->vary == NULL) {
        response->vary = PyMem_New(cors_str, most);
        if (response->vary == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    line = &response->vary[response->vary_count++];
    found = borrow(value, &response->held, line);
    if (found == 0) {
        wrong_type("the value of Vary",
                   response->form == RAW ? "bytes" : "str", value);
    }
    return found > 0 ? 0 : -1;
}

/* Whether the application's response has an Access-Control-Allow-Origin. */
static int
response_allows_origin(Response *response)
{
    cors_str       name;
    PyObject      *pair;
    Py_ssize_t     i;
    cors_decision  probe;

    memset(&probe, 0, sizeof(probe));
    probe.size = sizeof(probe);
    probe.owned = 1u << CORS_HEADER_ALLOW_ORIGIN;
    for (i = 0; i < Py_SIZE(response->headers); i++) {
        pair = read_pair(PyTuple_GetItem(response->headers, i),
                         response->form, &response->held, &name);
        if (pair == NULL) {
            return -1;
        }
        if (cors_header_owned(&probe, name.data, name.len)) {
            return 1;
        }
    }
    return 0;
}

/* Takes the application's headers over, but those that the decision owns, and
   Vary, which is put aside. */
static int
response_take(Response *response, const cors_decision *decision, int replace)
{
    cors_str    name;
    PyObject   *pair;
    Py_ssize_t  i, count = Py_SIZE(response->headers);

    for (i = 0; i < count; i++) {
        pair = read_pair(PyTuple_GetItem(response->headers, i),
                         response->form, &response->held, &name);
        if (pair == NULL) {
            return -1;
        }
        if (replace && name.len >= CORS_OWNED_MIN
            && cors_header_owned(decision, name.data, name.len))
        {
            continue;
        }
        if (decision->vary != 0 && name.len == 4
            && is_named(name.data, "vary"))
        {
            if (response_add_vary(response, pair) < 0) {
                return -1;
            }
            continue;
        }
        if (PyList_Append(response->result, pair) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
response_set_vary(Response *response, Decision *self)
{
    int                  result;
    State               *state = self->policy->state;
    PyObject            *name, *value, *pair;
    const cors_decision *decision = &self->decision;

    if (response->vary_count == 0 && decision->vary < VARIES) {
        return PyList_Append(response->result,
                             state->vary[response->form][decision->vary]);
    }
    value = merge_vary(decision, response->vary, response->vary_count,
                       response->form);
    if (value == NULL) {
        return -1;
    }
    name = PyTuple_GetItem(state->vary[response->form][CORS_VARY_ORIGIN], 0);
    pair = PyTuple_Pack(2, name, value);
    Py_DECREF(value);
    if (pair == NULL) {
        return -1;
    }
    result = PyList_Append(response->result, pair);
    Py_DECREF(pair);
    return result;
}

/* Carries steps 2 to 4 of cors_decision out. */
static int
response_apply(Response *response, Decision *self)
{
    int                  replace = 1;
    PyObject            *headers;
    Py_ssize_t           i;
    const cors_decision *decision = &self->decision;

    if (decision->upstream == CORS_UPSTREAM_KEEP) {
        i = response_allows_origin(response);
        if (i < 0) {
            return -1;
        }
        replace = i == 0;
    }
    if (response_take(response, decision, replace) < 0) {
        return -1;
    }
    if (replace && decision->header_count > 0) {
        headers = headers_in(self, response->form);
        if (headers == NULL) {
            return -1;
        }
        for (i = 0; i < Py_SIZE(headers); i++) {
            if (PyList_Append(response->result, PyTuple_GetItem(headers, i))
                < 0)
            {
                Py_DECREF(headers);
                return -1;
            }
        }
        Py_DECREF(headers);
    }
    return decision->vary == 0 ? 0 : response_set_vary(response, self);
}

static PyObject *
apply(Decision *self, PyObject *headers, int form)
{
    Response response;

    if (!self->decision.enforced) {
        return PySequence_List(headers);
    }
    memset(&response, 0, sizeof(response));
    response.form = form;
    response.headers = PySequence_Tuple(headers);
    if (response.headers == NULL) {
        return NULL;
    }
    response.result = PyList_New(0);
    if (response.result != NULL && response_apply(&response, self) < 0) {
        Py_CLEAR(response.result);
    }
    PyMem_Free(response.vary);
    Py_XDECREF(response.held);
    Py_DECREF(response.headers);
    return response.result;
}

PyDoc_STRVAR(decision_apply_asgi_doc,
"apply_asgi($self, headers, /)\n"
"--\n"
"\n"
"Carry the decision out on the headers of an ASGI response.\n"
"\n"
"headers are pairs of bytes. Returns a new list: owned headers are gone,\n"
"those of the decision are there, and there is one line of Vary.");

static PyObject *
decision_apply_asgi(Decision *self, PyObject *headers)
{
    return apply(self, headers, RAW);
}

PyDoc_STRVAR(decision_apply_wsgi_doc,
"apply_wsgi($self, headers, /)\n"
"--\n"
"\n"
"Carry the decision out on the headers of a WSGI response.\n"
"\n"
"headers are pairs of str. Returns a new list: owned headers are gone, those\n"
"of the decision are there, and there is one line of Vary.");

static PyObject *
decision_apply_wsgi(Decision *self, PyObject *headers)
{
    return apply(self, headers, TEXT);
}

static PyMethodDef decision_methods[] = {
    {"owns", METHOD_OF(decision_owns), METH_O, decision_owns_doc},
    {"merge_vary", METHOD_OF(decision_merge_vary), METH_FASTCALL,
     decision_merge_vary_doc},
    {"apply_asgi", METHOD_OF(decision_apply_asgi), METH_O,
     decision_apply_asgi_doc},
    {"apply_wsgi", METHOD_OF(decision_apply_wsgi), METH_O,
     decision_apply_wsgi_doc},
    {"__copy__", itself, METH_NOARGS, NULL},
    {"__deepcopy__", itself, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef decision_getters[] = {
    {"kind", (getter) decision_kind, NULL,
     "\"none\", \"actual\", \"preflight\" or \"websocket\".", NULL},
    {"outcome", (getter) decision_outcome, NULL,
     "\"none\", \"allow\" or \"deny\".", NULL},
    {"reason", (getter) decision_reason, NULL,
     "Why, such as \"origin_not_allowed\": for logs and metrics.", NULL},
    {"rule", (getter) decision_rule, NULL,
     "The entry of allow_origins that covers the origin, counted from 0.",
     NULL},
    {"status", (getter) decision_status, NULL,
     "The status to answer with, or None if the application answers.", NULL},
    {"enforced", (getter) decision_enforced, NULL,
     "False in report mode: then change nothing.", NULL},
    {"upstream", (getter) decision_upstream, NULL,
     "\"replace\", or \"keep\": then an Access-Control-Allow-Origin of the\n"
     "application stays, and nothing but Vary is changed.", NULL},
    {"headers", (getter) decision_headers, NULL,
     "The headers to set, as pairs of str; Vary is not among them.", NULL},
    {"headers_bytes", (getter) decision_headers_bytes, NULL,
     "The headers to set, as pairs of bytes, names in lower case.", NULL},
    {"remove", (getter) decision_remove, NULL,
     "The names of the response headers to remove first, in lower case.",
     NULL},
    {"vary", (getter) decision_vary, NULL,
     "The names to merge into Vary; see merge_vary().", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(decision_doc,
"The answer to a request. It never changes, and needs no request.\n"
"\n"
"Carry it out on every response, errors too, unless enforced is false: if\n"
"status is not None, answer with it, without a body, and let nothing else\n"
"answer. Remove what owns() says, add headers, and set Vary to merge_vary().");

static PyType_Slot decision_slots[] = {
    {Py_tp_doc, (void *) decision_doc},
    {Py_tp_dealloc, decision_dealloc},
    {Py_tp_repr, decision_repr},
    {Py_tp_methods, decision_methods},
    {Py_tp_getset, decision_getters},
    {0, NULL},
};

static PyType_Spec decision_spec = {
    .name = "libcors.Decision",
    .basicsize = DECISION_SIZE,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = decision_slots,
};


/*
 * Documents
 * =========
 */

static const char *
severity_name(uint32_t severity)
{
    switch (severity) {
    case CORS_SEVERITY_ERROR:
        return "error";
    case CORS_SEVERITY_WARNING:
        return "warning";
    default:
        return "note";
    }
}

/* Py_BuildValue() makes None of NULL. */
static const char *
characters(cors_str text)
{
    return text.data == NULL ? "" : text.data;
}

/* The arguments of Diagnostic, for each. */
static PyObject *
list_diagnostics(const cors_diagnostics *diagnostics)
{
    size_t           i, count = cors_diagnostics_count(diagnostics);
    PyObject        *list, *fields;
    cors_diagnostic  found;

    list = PyList_New((Py_ssize_t) count);
    if (list == NULL) {
        return NULL;
    }
    for (i = 0; i < count; i++) {
        memset(&found, 0, sizeof(found));
        found.size = sizeof(found);
        cors_diagnostics_get(diagnostics, i, &found);
        fields = Py_BuildValue(
            "ss#s#IInns#s#s#", severity_name(found.severity),
            characters(found.code), (Py_ssize_t) found.code.len,
            characters(found.source), (Py_ssize_t) found.source.len,
            (unsigned) found.line, (unsigned) found.column,
            (Py_ssize_t) found.offset, (Py_ssize_t) found.length,
            characters(found.key_path), (Py_ssize_t) found.key_path.len,
            characters(found.message), (Py_ssize_t) found.message.len,
            characters(found.hint), (Py_ssize_t) found.hint.len);
        if (fields == NULL) {
            Py_DECREF(list);
            return NULL;
        }
        PyList_SetItem(list, (Py_ssize_t) i, fields);
    }
    return list;
}

/* All policies of a document, by name. */
static PyObject *
make_policies(State *state, const cors_policies *policies)
{
    int         status;
    size_t      i;
    PyObject   *result, *object;
    const char *name;

    result = PyDict_New();
    for (i = 0; result != NULL && i < cors_policies_count(policies); i++) {
        name = cors_policies_name(policies, i);
        object = policy_new(state, policies,
                            cors_policies_get(policies, name, strlen(name)),
                            name);
        status = -1;
        if (object != NULL) {
            status = PyDict_SetItem(result, ((Policy *) object)->name,
                                    object);
            Py_DECREF(object);
        }
        if (status < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

PyDoc_STRVAR(module_compile_doc,
"compile($module, text, source, format, /)\n"
"--\n"
"\n"
"Compile a document: the policies by name, or None, and what was found.");

static PyObject *
module_compile(PyObject *module, PyObject *args)
{
    int32_t              status;
    PyObject            *text, *source, *found, *result = NULL;
    Py_ssize_t           text_length, source_length;
    const char          *text_data, *source_data;
    unsigned int         format;
    cors_diagnostics    *diagnostics;
    const cors_policies *policies;

    if (!PyArg_ParseTuple(args, "SSI:compile", &text, &source, &format)) {
        return NULL;
    }
    text_data = PyBytes_AsString(text);
    text_length = Py_SIZE(text);
    source_data = PyBytes_AsString(source);
    source_length = Py_SIZE(source);

    Py_BEGIN_ALLOW_THREADS
    status = cors_policies_parse(text_data, (size_t) text_length, source_data,
                                 (size_t) source_length, format, &policies,
                                 &diagnostics);
    Py_END_ALLOW_THREADS

    if (status != CORS_OK && status != CORS_ERR_DOCUMENT) {
        PyErr_Format(PyExc_RuntimeError, "libcors: %s",
                     cors_status_str(status));
        return NULL;
    }
    found = list_diagnostics(diagnostics);
    if (found != NULL) {
        if (status == CORS_OK) {
            result = make_policies(PyModule_GetState(module), policies);
        }
        else {
            result = Py_NewRef(Py_None);
        }
    }
    cors_diagnostics_free(diagnostics);
    cors_policies_unref(policies);
    return result == NULL ? NULL : Py_BuildValue("(NN)", result, found);
}


/*
 * The module
 * ==========
 */

static const char *const environ_keys[ARGUMENTS] = {
    [METHOD] = "REQUEST_METHOD",
    [ORIGIN] = "HTTP_ORIGIN",
    [REQUEST_METHOD] = "HTTP_ACCESS_CONTROL_REQUEST_METHOD",
    [REQUEST_HEADERS] = "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
    [REQUEST_PRIVATE_NETWORK] = "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK",
    [UPGRADE] = "HTTP_UPGRADE",
    [SCHEME] = "wsgi.url_scheme",
    [HOST] = "HTTP_HOST",
    [SEC_FETCH_SITE] = "HTTP_SEC_FETCH_SITE",
};

static const char *const owned_names[HEADERS] = {
    [CORS_HEADER_ALLOW_ORIGIN] = "access-control-allow-origin",
    [CORS_HEADER_ALLOW_CREDENTIALS] = "access-control-allow-credentials",
    [CORS_HEADER_ALLOW_METHODS] = "access-control-allow-methods",
    [CORS_HEADER_ALLOW_HEADERS] = "access-control-allow-headers",
    [CORS_HEADER_EXPOSE_HEADERS] = "access-control-expose-headers",
    [CORS_HEADER_MAX_AGE] = "access-control-max-age",
    [CORS_HEADER_ALLOW_PRIVATE_NETWORK]
        = "access-control-allow-private-network",
    [CORS_HEADER_TIMING_ALLOW_ORIGIN] = "timing-allow-origin",
};

/* Makes interned strings; those that are NULL stay so. */
static int
intern(PyObject **objects, const char *const *texts, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        if (texts[i] == NULL) {
            continue;
        }
        objects[i] = PyUnicode_InternFromString(texts[i]);
        if (objects[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

static int
intern_words(PyObject **objects, const char *(*name)(uint32_t), int count)
{
    int         i;
    const char *text;

    for (i = 0; i < count; i++) {
        text = name((uint32_t) i);
        if (intern(&objects[i], &text, 1) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The header Vary, for each set of names. */
static int
make_vary(State *state)
{
    int            form;
    uint32_t       bits;
    PyObject      *name, *value, **pair;
    cors_decision  decision;

    memset(&decision, 0, sizeof(decision));
    decision.size = sizeof(decision);
    for (form = 0; form < FORMS; form++) {
        for (bits = 0; bits < VARIES; bits++) {
            decision.vary = bits;
            name = to_object(constant(form == RAW ? "vary" : "Vary"), form);
            value = merge_vary(&decision, NULL, 0, form);
            pair = &state->vary[form][bits];
            if (name != NULL && value != NULL) {
                *pair = PyTuple_Pack(2, name, value);
            }
            Py_XDECREF(name);
            Py_XDECREF(value);
            if (*pair == NULL) {
                return -1;
            }
        }
    }
    return 0;
}

static int
make_types(State *state, PyObject *module)
{
    PyObject *type;

    type = PyType_FromModuleAndSpec(module, &policy_spec, NULL);
    state->policy_type = (PyTypeObject *) type;
    if (type == NULL || PyModule_AddType(module, state->policy_type) < 0) {
        return -1;
    }
    type = PyType_FromModuleAndSpec(module, &decision_spec, NULL);
    state->decision_type = (PyTypeObject *) type;
    if (type == NULL || PyModule_AddType(module, state->decision_type) < 0) {
        return -1;
    }
    return 0;
}

static int
module_exec(PyObject *module)
{
    int       status;
    State    *state = PyModule_GetState(module);
    PyObject *closes;

    if (cors_abi_version() != CORS_ABI_VERSION) {
        PyErr_Format(PyExc_ImportError,
                     "the library libcors that is loaded has ABI version %u, "
                     "and this package was built for version %u: install the "
                     "one that fits, or build the package again",
                     (unsigned) cors_abi_version(),
                     (unsigned) CORS_ABI_VERSION);
        return -1;
    }
    state->empty = PyTuple_New(0);
    state->scope_type = PyUnicode_InternFromString("type");
    state->scope_headers = PyUnicode_InternFromString("headers");
    state->replace = PyUnicode_InternFromString("replace");
    state->keep = PyUnicode_InternFromString("keep");
    if (state->empty == NULL || state->scope_type == NULL
        || state->scope_headers == NULL || state->replace == NULL
        || state->keep == NULL
        || intern(state->arguments, argument_names, ARGUMENTS) < 0
        || intern(state->environ, environ_keys, ARGUMENTS) < 0
        || intern(state->owned, owned_names, HEADERS) < 0
        || intern_words(state->kinds, cors_kind_str, KINDS) < 0
        || intern_words(state->outcomes, cors_outcome_str, OUTCOMES) < 0
        || intern_words(state->reasons, cors_reason_str, REASONS) < 0
        || make_vary(state) < 0
        || make_types(state, module) < 0)
    {
        return -1;
    }
    closes = policy_new(state, NULL, NULL, "");
    if (closes == NULL) {
        return -1;
    }
    status = PyModule_AddObjectRef(module, "NO_POLICY", closes);
    Py_DECREF(closes);
    if (status < 0
        || PyModule_AddStringConstant(module, "__version__",
                                      LIBCORS_PYTHON_VERSION) < 0
        || PyModule_AddStringConstant(module, "library_version",
                                      cors_version()) < 0
        || PyModule_AddIntConstant(module, "abi_version",
                                   (long) cors_abi_version()) < 0)
    {
        return -1;
    }
    return 0;
}

static void
release(PyObject **objects, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        Py_CLEAR(objects[i]);
    }
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);

    Py_VISIT(state->policy_type);
    Py_VISIT(state->decision_type);
    return 0;
}

static void
module_free(void *module)
{
    State *state = PyModule_GetState(module);

    if (state == NULL) {
        return;
    }
    release(state->arguments, ARGUMENTS);
    release(state->environ, ARGUMENTS);
    release(state->owned, HEADERS);
    release(state->kinds, KINDS);
    release(state->outcomes, OUTCOMES);
    release(state->reasons, REASONS);
    release(state->vary[TEXT], VARIES);
    release(state->vary[RAW], VARIES);
    Py_CLEAR(state->empty);
    Py_CLEAR(state->scope_type);
    Py_CLEAR(state->scope_headers);
    Py_CLEAR(state->replace);
    Py_CLEAR(state->keep);
    Py_CLEAR(state->policy_type);
    Py_CLEAR(state->decision_type);
}

static PyMethodDef module_methods[] = {
    {"compile", module_compile, METH_VARARGS, module_compile_doc},
    {NULL, NULL, 0, NULL},
};

/* The limited API of 3.10 does not define it, and Pythons before 3.12 refuse
   slots that they do not know. */
#ifndef Py_mod_multiple_interpreters
#define Py_mod_multiple_interpreters 3
#define Py_MOD_PER_INTERPRETER_GIL_SUPPORTED ((void *) 2)
#endif

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef_Slot module_slots_before_3_12[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "libcors._core",
    .m_size = sizeof(State),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    /* "3.MINOR...": PY_VERSION_HEX is that of the headers. */
    if (strtol(Py_GetVersion() + strlen("3."), NULL, 10) < 12) {
        module_definition.m_slots = module_slots_before_3_12;
    }
    return PyModuleDef_Init(&module_definition);
}
