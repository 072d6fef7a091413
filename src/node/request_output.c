/* Answers that are some bytes. */
#include "node/request.h"
#include "wire/frame.h"

QH_RESULT request_output(struct request *request, size_t room, Quadhsm__Output **ret_output)
{
    Quadhsm__Output *output = wire_zalloc(sizeof *output);

    if (output == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__output__init(output);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_OUTPUT;
    request->response->output = output;
    if (room > 0) {
        output->data.data = wire_zalloc(room);
        if (output->data.data == NULL) {
            return QH_ENOMEM;
        }
    }
    *ret_output = output;
    return QH_OK;
}
